"""Small clouds from a seed: a rough ground with upright clusters on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC
from awml_extractors.datasets.bag_writer import StampedCloud

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
FRAME_ID = "base_link"


def random_points(n: int, seed: int) -> npt.NDArray[np.float32]:
    """float32 [n, 4]: x, y, z [m], intensity 0 to 255; denser near the origin, as a sweep is."""
    rng = np.random.default_rng(seed)
    points = np.empty((n, 4))
    distance, angle = rng.exponential(15.0, n), rng.uniform(-np.pi, np.pi, n)
    points[:, 0], points[:, 1] = distance * np.cos(angle), distance * np.sin(angle)
    points[:, 2], points[:, 3] = rng.normal(0.0, 0.05, n), rng.uniform(0.0, 255.0, n)
    centers, upright = rng.uniform(-40.0, 40.0, (60, 2)), n // 3
    around = centers[rng.integers(0, len(centers), upright)]
    points[:upright, :2] = around + rng.normal(0.0, 0.8, (upright, 2))
    points[:upright, 2] = rng.uniform(0.0, 2.0, upright)
    return points.astype(np.float32)


def random_cloud(index: int, n: int = 500) -> StampedCloud:
    """A cloud to record; every index has its own points and stamp."""
    values = random_points(n, index)
    points = np.zeros(n, POINT_XYZIRC)
    for column, name in enumerate(("x", "y", "z", "intensity")):
        points[name] = values[:, column]
    return StampedCloud(points, START_NS + index * PERIOD_NS, FRAME_ID)
