"""What the simulator gives: one revolution of the LiDAR with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.ground_truth import GroundTruth


@dataclass(frozen=True, eq=False)
class SimulatedSweep:
    """One revolution in firing order, with N returns.

    Frames: ``map`` is fixed to the world, ``base_link`` to the ego vehicle (REP 105: on the ground
    below the rear axle, x forward, y left, z up), ``lidar`` to the sensor.
    """

    xyz: npt.NDArray[np.float32]
    """float32 [N, 3] [m]: in ``base_link`` at the stamp, ego motion removed as a distortion
    corrector does it; the motion of other road users stays."""
    raw_xyz: npt.NDArray[np.float32]
    """float32 [N, 3] [m]: as the sensor measures, in ``lidar`` at the time of every firing."""
    intensity: npt.NDArray[np.uint8]
    """uint8 [N]: 0 to 255."""
    beam: npt.NDArray[np.uint16]
    """uint16 [N]: 0 is the lowest."""
    time: npt.NDArray[np.float32]
    """float32 [N] [s]: firing after the stamp."""
    ground_truth: GroundTruth
    """Boxes in ``base_link``, where each road user was when the beams passed its centre."""
    stamp_ns: int
    """Start of the revolution [ns]."""
    pose: npt.NDArray[np.float64]
    """float64 [4, 4]: from ``base_link`` at the stamp to ``map``."""
    lidar_to_base: npt.NDArray[np.float64]
    """float64 [4, 4]: mounting of the sensor, from ``lidar`` to ``base_link``."""
