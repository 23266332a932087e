from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from awml_deploy_core.errors import DatasetError
from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC
from awml_extractors.datasets.bag import CloudBag
from awml_extractors.datasets.synthetic import (
    Lidar,
    SyntheticScene,
    SyntheticSweep,
    lidar_like_points,
    main,
)

SMALL = Lidar(beams=32, columns=512)


@pytest.fixture(scope="module")
def sweep() -> SyntheticSweep:
    return SyntheticScene(0).sweep(7)


def test_a_sweep_looks_like_a_64_beam_lidar(sweep: SyntheticSweep) -> None:
    points = sweep.points
    assert points.dtype == POINT_XYZIRC
    assert 100_000 <= len(points) <= 125_000
    assert points["channel"].max() == 63
    distance = np.linalg.norm([points["x"], points["y"], points["z"]], axis=0)
    assert distance.min() > 2.0
    assert distance.max() < 121.0
    assert points["z"].min() > -4.0
    assert points["z"].max() < 12.0
    assert np.ptp(points["intensity"]) > 100


def test_same_seed_same_bits_in_any_order(sweep: SyntheticSweep) -> None:
    again = SyntheticScene(0)
    again.sweep(3)
    repeated = again.sweep(7)
    assert repeated.points.tobytes() == sweep.points.tobytes()
    np.testing.assert_array_equal(repeated.boxes.centers, sweep.boxes.centers)
    assert SyntheticScene(1).sweep(7).points.tobytes() != sweep.points.tobytes()


def test_boxes_hold_their_points(sweep: SyntheticSweep) -> None:
    boxes = sweep.boxes
    assert all(count > 0 for count in boxes.count_by_class().values())
    xyz = np.stack([sweep.points[name] for name in ("x", "y", "z")], axis=1).astype(np.float64)
    slack = 0.15
    for i in range(len(boxes)):
        local = xyz - boxes.centers[i]
        cos, sin = np.cos(boxes.yaws[i]), np.sin(boxes.yaws[i])
        along, across = cos * local[:, 0] + sin * local[:, 1], cos * local[:, 1] - sin * local[:, 0]
        inside = np.abs(np.stack([along, across, local[:, 2]])) <= boxes.sizes[i][:, None] / 2 + slack
        core = np.abs(np.stack([along, across, local[:, 2]])) <= boxes.sizes[i][:, None] / 2 - slack
        assert inside.all(axis=0).sum() >= 5
        assert core.all(axis=0).sum() == 0, "rays end on a box's surface"


def test_road_users_move_as_their_velocities_say() -> None:
    scene = SyntheticScene(0)
    now, later = scene.sweep(0), scene.sweep(1)

    def on_street(sweep: SyntheticSweep) -> np.ndarray:
        centers = sweep.boxes.centers.astype(np.float64)
        return centers @ sweep.pose[:3, :3].T + sweep.pose[:3, 3]

    velocity = now.boxes.velocities.astype(np.float64) @ now.pose[:2, :2].T
    expected = on_street(now)[:, :2] + 0.1 * velocity
    distances = np.linalg.norm(expected[:, None] - on_street(later)[None, :, :2], axis=-1).min(axis=1)
    near = np.abs(now.boxes.centers[:, 0]) < 40
    assert distances[near].max() < 0.05


def test_points_seen_twice_agree_on_the_street() -> None:
    scene = SyntheticScene(0, Lidar(range_noise=0.0))
    walls = []
    for index in (0, 10):
        sweep = scene.sweep(index)
        xyz = np.stack([sweep.points[name] for name in ("x", "y", "z")], axis=1)
        street = xyz @ sweep.pose[:3, :3].T + sweep.pose[:3, 3]
        walls.append(street[(street[:, 1] < -9.5) & (np.abs(street[:, 0]) < 20) & (xyz[:, 2] > -1.0)])
    front = [np.percentile(part[:, 1], 90) for part in walls]
    assert abs(front[0] - front[1]) < 0.3


@pytest.mark.parametrize("n", [0, 1, 1000, 120_000, 151_000])
def test_lidar_like_points_are_exactly_n(n: int) -> None:
    points = lidar_like_points(n, seed=3)
    assert points.shape == (n, 4)
    assert points.dtype == np.float32
    assert np.isfinite(points).all()
    np.testing.assert_array_equal(points, lidar_like_points(n, seed=3))


def test_negative_number_of_points_is_refused() -> None:
    with pytest.raises(DatasetError, match="negative"):
        lidar_like_points(-1)


def test_command_line_writes_a_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rosbags")
    target = tmp_path / "bag"
    arguments = [
        str(target),
        "--sweeps",
        "2",
        "--beams",
        "16",
        "--seed",
        "5",
        "--topic",
        "/t",
        "--storage",
        "mcap",
    ]
    assert main(arguments) == 0
    assert "2 sweeps on /t" in capsys.readouterr().out
    assert CloudBag.open(target).count == 2
    assert main(arguments) == 1
    assert "exists already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(target), "--sweeps", "0"])
