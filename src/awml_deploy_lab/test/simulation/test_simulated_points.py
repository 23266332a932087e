from __future__ import annotations

import numpy as np
import pytest

from awml_deploy_core.errors import DatasetError
from awml_deploy_lab.simulation.points import lidar_like_points


@pytest.mark.parametrize("n", [0, 1, 1000, 120_000, 151_000])
def test_there_are_exactly_as_many_as_asked_for(n: int) -> None:
    points = lidar_like_points(n, seed=3)
    assert points.shape == (n, 4)
    assert points.dtype == np.float32
    assert np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) == n
    np.testing.assert_array_equal(points, lidar_like_points(n, seed=3))


def test_they_are_spread_like_a_sweep() -> None:
    x, y, z, intensity = lidar_like_points(20_000).T
    distance = np.hypot(x, y)
    assert distance.max() < 125.0
    assert np.median(distance) < 30.0
    assert np.abs(np.median(z[distance < 20.0])) < 0.5
    assert 0 <= intensity.min() < intensity.max() <= 255


def test_another_seed_gives_other_points() -> None:
    assert not np.array_equal(lidar_like_points(1000, 0), lidar_like_points(1000, 1))


def test_negative_number_of_points_is_refused() -> None:
    with pytest.raises(DatasetError, match="negative"):
        lidar_like_points(-1)
