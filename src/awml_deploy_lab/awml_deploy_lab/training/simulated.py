"""Batches of freshly simulated frames: no scene is ever seen twice."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from awml_deploy_core.errors import ConfigError
from awml_deploy_lab.simulation.furnishing import BodyPool
from awml_deploy_lab.simulation.lidar import rotation
from awml_deploy_lab.simulation.parameters import TRAINING, SceneParameters
from awml_deploy_lab.simulation.rays import Revolution, RevolutionTables, cast
from awml_deploy_lab.simulation.returns import sense
from awml_deploy_lab.simulation.road_users import CLASS_NAMES
from awml_deploy_lab.simulation.street import make_street
from awml_deploy_lab.simulation.view import SweepView, make_view
from awml_deploy_lab.training.ahead import ahead
from awml_deploy_lab.training.batch import TrainingBatch

_STEPS = 1 << 40
"""More steps than any training takes."""
_LATE = 0.15
"""Share of frames whose past sweep is one older, as after a lost message."""

_FRAMES_A_STREET = 2
"""Frames that share a street, seconds apart: furnishing it takes longer than looking at it."""
_LONGEST = 8.0
"""Between the first and the last frame of a street [s]."""
_POOL = 40
"""Bodies of a kind that the streets of a batch share."""


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """Scenes of one batch before any ray is cast; B frames of S / B revolutions, the current one first."""

    tables: RevolutionTables
    to_current: Tensor
    """float32 [S, 3, 4]: from the upright frame of a revolution to ``base_link`` of its frame."""
    time_lag: Tensor
    """float32 [S] [s]."""
    first_body: Tensor
    """int64 [S]: where the bodies of a revolution's street are counted."""
    num_bodies: int
    boxes: Tensor
    """float32 [M, 9]."""
    labels: Tensor
    box_frame: Tensor
    box_body: Tensor
    """int64 [M]: number of the body in its street."""
    size: int

    def pin_memory(self) -> SceneBatch:
        """A copy that a GPU reads while the host goes on; asked for by torch's loader."""
        pinned = {k: v.pin_memory() for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, tables=self.tables.pin_memory(), **pinned)


class SimulatedBatches:
    """Implements :class:`awml_deploy_lab.training.train.BatchSource` with simulated scenes.

    Scenes are furnished by worker processes; rays are cast on ``device``. A step's scenes depend on
    the seed and the step only.

    Args:
        batch_size: Frames a batch.
        num_past_sweeps: Past sweeps a frame.
        class_names: Classes of the model; they must be the simulator's.
        device: Where to cast rays.
        seed: Of all scenes.
        parameters: What scenes are drawn from.
        reach: How far around the ego vehicle streets are furnished [m].
        workers: Worker processes; one a core, less one, if None.

    Raises:
        ConfigError: The class names are others than the simulator's.
    """

    def __init__(
        self,
        batch_size: int,
        num_past_sweeps: int,
        class_names: Sequence[str],
        device: torch.device,
        seed: int,
        *,
        parameters: SceneParameters = TRAINING,
        reach: float = 85.0,
        workers: int | None = None,
    ) -> None:
        if tuple(class_names) != CLASS_NAMES:
            raise ConfigError(
                "class_names",
                "are not the simulator's",
                got=", ".join(class_names),
                expected=", ".join(CLASS_NAMES),
            )
        self._scenes = _Scenes(batch_size, num_past_sweeps, seed, parameters, reach)
        self._device = device
        self._seed = seed
        self._workers = max((os.cpu_count() or 1) - 1, 0) if workers is None else workers

    def batches(self, start_step: int) -> Iterator[TrainingBatch]:
        """Batches of the steps from ``start_step`` on, without end."""
        loader = DataLoader(
            self._scenes,
            batch_size=None,
            sampler=range(start_step, _STEPS),
            num_workers=self._workers,
            prefetch_factor=4 if self._workers else None,
            pin_memory=self._device.type == "cuda",
        )
        observed = self._observe(enumerate(loader, start=start_step))
        return ahead(observed, self._device) if self._device.type == "cuda" else observed

    def _observe(self, scenes: Iterator[tuple[int, SceneBatch]]) -> Iterator[TrainingBatch]:
        for step, batch in scenes:
            chance = int(np.random.SeedSequence([self._seed, step, 1]).generate_state(1)[0])
            yield observe(batch, self._device, torch.Generator(self._device).manual_seed(chance))


class _Scenes(Dataset[SceneBatch]):
    def __init__(
        self, batch_size: int, num_past_sweeps: int, seed: int, parameters: SceneParameters, reach: float
    ) -> None:
        self.batch_size = batch_size
        self.num_past_sweeps = num_past_sweeps
        self.seed = seed
        self.parameters = parameters
        self.reach = reach

    def __getitem__(self, step: int) -> SceneBatch:
        revolutions: list[Revolution] = []
        to_current, lags, bodies, boxes, labels, frames, numbers = ([] for _ in range(7))
        first_body, pool = 0, BodyPool(_POOL)
        for frame in range(self.batch_size):
            if frame % _FRAMES_A_STREET == 0:
                rng = np.random.default_rng([self.seed, step, frame])
                lidar = self.parameters.make_lidar(rng)
                moments = rng.uniform(1.0, 1.0 + _LONGEST, _FRAMES_A_STREET)
                late = rng.random(_FRAMES_A_STREET) < _LATE
                lag = [
                    [0.0] + [lidar.period * (k + skip) for k in range(1, self.num_past_sweeps + 1)]
                    for skip in late
                ]
                times = [float(t) - value for t, part in zip(moments, lag, strict=True) for value in part]
                street = make_street(rng, self.parameters, times=times, reach=self.reach, pool=pool)
            turn = frame % _FRAMES_A_STREET
            views = [make_view(street, lidar, float(moments[turn]) - value) for value in lag[turn]]
            for view, value in zip(views, lag[turn], strict=True):
                revolutions.append(Revolution(view, street.rows, lidar, int(rng.integers(1 << 31))))
                to_current.append(_upright_to(view, views[0]))
                lags.append(value)
                bodies.append(first_body)
                first_body += len(street.labels)
            truth = views[0].boxes
            boxes.append(
                np.column_stack([truth.centers, truth.sizes, truth.yaws, truth.velocities]).astype(
                    np.float32
                )
            )
            labels.append(truth.labels.astype(np.int64))
            frames.append(np.full(len(truth), frame))
            numbers.append(views[0].box_body.astype(np.int64))
        return SceneBatch(
            RevolutionTables.of(revolutions),
            torch.from_numpy(np.stack(to_current)),
            torch.tensor(lags, dtype=torch.float32),
            torch.tensor(bodies),
            first_body,
            torch.from_numpy(np.concatenate(boxes)),
            torch.from_numpy(np.concatenate(labels)),
            torch.from_numpy(np.concatenate(frames)),
            torch.from_numpy(np.concatenate(numbers)),
            self.batch_size,
        )


def _upright_to(view: SweepView, current: SweepView) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """float32 [3, 4]: from the upright frame of a revolution to ``base_link`` of another."""
    upright = np.eye(4)
    upright[:3, :3] = rotation(0.0, 0.0, view.pose.yaw)
    upright[:3, 3] = view.pose.x, view.pose.y, view.pose.z
    return np.asarray((np.linalg.inv(current.pose.matrix()) @ upright)[:3], np.float32)


def observe(scenes: SceneBatch, device: torch.device, generator: torch.Generator) -> TrainingBatch:
    """Cast the rays of scenes on a device."""
    rays = cast(scenes.tables.to(device))
    returns = sense(rays, generator)
    sweep = rays.sweep[returns.ray]
    matrix = scenes.to_current.to(device, non_blocking=True)[sweep]
    xyz = (matrix[:, :, :3] * returns.upright[:, None]).sum(dim=2) + matrix[:, :, 3]
    points = torch.cat(
        [
            xyz,
            returns.intensity[:, None].float(),
            scenes.time_lag.to(device, non_blocking=True)[sweep, None],
        ],
        dim=1,
    )
    body = rays.body[returns.ray].long()
    first_body = scenes.first_body.to(device, non_blocking=True)
    hits = torch.zeros(scenes.num_bodies, dtype=torch.int64, device=device)
    hits.index_add_(0, (first_body[sweep] + body.clamp_min(0)), (body >= 0).long())
    per_frame = len(first_body) // scenes.size
    box_frame, box_body = (
        scenes.box_frame.to(device, non_blocking=True),
        scenes.box_body.to(device, non_blocking=True),
    )
    counted = first_body.reshape(scenes.size, per_frame)[box_frame] + box_body[:, None]
    return TrainingBatch(
        points,
        torch.div(sweep, per_frame, rounding_mode="floor"),
        scenes.boxes.to(device, non_blocking=True),
        scenes.labels.to(device, non_blocking=True),
        box_frame,
        hits[counted].sum(dim=1),
        scenes.size,
    )
