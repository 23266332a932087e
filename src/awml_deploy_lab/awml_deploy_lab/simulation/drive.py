"""A drive through a random street: sweeps, ground truth and poses of one seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_lab.simulation.lidar import Lidar
from awml_deploy_lab.simulation.parameters import TRAINING, SceneParameters
from awml_deploy_lab.simulation.rays import Revolution, RevolutionTables, cast
from awml_deploy_lab.simulation.returns import sense
from awml_deploy_lab.simulation.street import make_street
from awml_deploy_lab.simulation.sweep import SimulatedSweep
from awml_deploy_lab.simulation.view import ego_pose, make_view

START_NS = 1_700_000_000_000_000_000
_CHECK_EVERY = 0.4
"""Time [s] between the checks that no road users drive through each other."""
_REACH_BEYOND = 15.0


class SimulatedDrive:
    """A street made from a seed and the vehicle that drives through it.

    The same arguments and index give the same bits on the same machine, whichever sweeps were made
    before.

    Args:
        seed: Of everything that is random, 0 or more.
        parameters: What scenes are drawn from.
        lidar: The sensor; drawn with the scene if None.
        duration: How long the street is furnished for [s].
    """

    def __init__(
        self,
        seed: int,
        parameters: SceneParameters = TRAINING,
        lidar: Lidar | None = None,
        duration: float = 20.0,
    ) -> None:
        rng = np.random.default_rng(seed)
        drawn = parameters.make_lidar(rng)
        self.seed = seed
        self.lidar = lidar or drawn
        times = np.arange(-_CHECK_EVERY, duration + 2 * _CHECK_EVERY, _CHECK_EVERY)
        reach = self.lidar.max_range + _REACH_BEYOND
        self.street = make_street(rng, parameters, times=[float(time) for time in times], reach=reach)

    def sweeps(self, count: int) -> Iterator[SimulatedSweep]:
        """The first ``count`` sweeps, made one at a time."""
        return (self.sweep(index) for index in range(count))

    def stamp_ns(self, index: int) -> int:
        """When the sweep at ``index`` starts [ns]."""
        return START_NS + index * round(self.lidar.period * 1e9)

    def pose_at(self, stamp_ns: int) -> npt.NDArray[np.float64]:
        """float64 [4, 4]: from ``base_link`` to ``map`` at a time."""
        return ego_pose(self.street, (stamp_ns - START_NS) * 1e-9).matrix()

    def sweep(self, index: int) -> SimulatedSweep:
        """The revolution that starts at ``index`` periods."""
        lidar = self.lidar
        view = make_view(self.street, lidar, index * lidar.period)
        chance = np.random.SeedSequence([self.seed, index]).generate_state(2)
        rays = cast(RevolutionTables.of([Revolution(view, self.street.rows, lidar, int(chance[0] >> 1))]))
        returns = sense(rays, torch.Generator().manual_seed(int(chance[1])))
        ray = returns.ray.numpy()
        hits = rays.body.numpy()[ray]
        counts = np.bincount(hits[hits >= 0], minlength=len(self.street.labels))
        truth = GroundTruth(view.boxes, counts[view.box_body].astype(np.int32), view.box_body)
        return SimulatedSweep(
            xyz=returns.upright.numpy() @ view.upright_to_base().T,
            raw_xyz=returns.raw.numpy(),
            intensity=returns.intensity.numpy(),
            beam=(ray % lidar.beams).astype(np.uint16),
            time=lidar.times().astype(np.float32)[ray // lidar.beams],
            ground_truth=truth,
            stamp_ns=self.stamp_ns(index),
            pose=view.pose.matrix(),
            lidar_to_base=lidar.mounting(),
        )
