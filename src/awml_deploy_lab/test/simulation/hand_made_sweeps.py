"""Sweeps made by hand: a bend, some random returns, a few road users and one static world point."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_lab.simulation.sweep import SimulatedSweep

START_NS = 1_700_000_000_123_456_789
PERIOD_NS = 100_000_000
CLASS_NAMES = ("CAR", "TRUCK", "PEDESTRIAN")
SPEED, YAW_RATE = 9.0, 0.3
"""Along the heading [m/s] and to the left [rad/s]."""
LANDMARK = np.array([80_030.0, 40_012.0, 6.5])
"""A static point in the map [m]; the first return of every sweep."""

LIDAR_TO_BASE = np.eye(4)
LIDAR_TO_BASE[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
LIDAR_TO_BASE[:3, 3] = 1.2, 0.1, 1.9


def pose_at(stamp_ns: int) -> npt.NDArray[np.float64]:
    """A level left bend at constant speed, far from the origin of the map."""
    time = (stamp_ns - START_NS) * 1e-9
    heading = 0.5 + YAW_RATE * time
    radius = SPEED / YAW_RATE
    pose = np.eye(4)
    pose[:2, :2] = [[math.cos(heading), -math.sin(heading)], [math.sin(heading), math.cos(heading)]]
    pose[:3, 3] = 80_000 + radius * math.sin(heading), 40_000 - radius * math.cos(heading), 5.0
    return pose


def sweeps(count: int, points: int = 40, start_ns: int = START_NS) -> Iterator[SimulatedSweep]:
    """``count`` sweeps at 10 Hz."""
    return (sweep(start_ns + index * PERIOD_NS, points) for index in range(count))


def sweep(stamp_ns: int, points: int = 40, boxes: int = 3) -> SimulatedSweep:
    """One sweep, a function of its stamp alone."""
    rng = np.random.default_rng(stamp_ns % 2**32)
    pose = pose_at(stamp_ns)
    xyz = rng.uniform(-50, 50, (points, 3)).astype(np.float32)
    if points:
        xyz[0] = (np.linalg.inv(pose) @ [*LANDMARK, 1.0])[:3]
    velocities = rng.normal(0, 5, (boxes, 2)).astype(np.float32)
    velocities[-1:] = np.nan
    truth = GroundTruth(
        Detections(
            rng.uniform(-50, 50, (boxes, 3)).astype(np.float32),
            rng.uniform(0.5, 9, (boxes, 3)).astype(np.float32),
            rng.uniform(-math.pi, math.pi, boxes).astype(np.float32),
            velocities,
            np.ones(boxes, np.float32),
            rng.integers(0, len(CLASS_NAMES), boxes).astype(np.int32),
            CLASS_NAMES,
        ),
        rng.integers(0, 300, boxes).astype(np.int32),
        np.arange(boxes, dtype=np.int32) + 7,
    )
    return SimulatedSweep(
        xyz=xyz,
        raw_xyz=rng.uniform(-50, 50, (points, 3)).astype(np.float32),
        intensity=rng.integers(0, 256, points).astype(np.uint8),
        beam=rng.integers(0, 128, points).astype(np.uint16),
        time=np.linspace(0, 0.0999, points, dtype=np.float32),
        ground_truth=truth,
        stamp_ns=stamp_ns,
        pose=pose,
        lidar_to_base=LIDAR_TO_BASE,
    )
