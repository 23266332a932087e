from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import DatasetError
from awml_extractors.datasets.kitti import read_kitti
from awml_extractors.datasets.kitti_labels import (
    CLASS_NAMES,
    KittiCalibration,
    KittiLabels,
    read_kitti_labels,
)

# The camera 0.3 m ahead of and 0.1 m below the velodyne, looking along its x axis.
CALIBRATION = """\
P0: 1 0 0 0 0 1 0 0 0 0 1 0
P2: 700 0 600 0 0 700 180 0 0 0 1 0
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3
"""
CAR = "Car 0.25 1 0.0 100 50 200 90 1.5 1.8 4.2 -2.0 1.6 20.0 0.0"


@pytest.fixture
def calibration(tmp_path: Path) -> KittiCalibration:
    (tmp_path / "calib.txt").write_text(CALIBRATION)
    return KittiCalibration.read(tmp_path / "calib.txt")


def read(tmp_path: Path, calibration: KittiCalibration, *lines: str) -> KittiLabels:
    (tmp_path / "label.txt").write_text("".join(f"{line}\n" for line in lines))
    return read_kitti_labels(tmp_path / "label.txt", calibration)


def test_a_box_in_the_velodyne_frame(tmp_path: Path, calibration: KittiCalibration) -> None:
    labels = read(tmp_path, calibration, CAR)
    boxes = labels.ground_truth.boxes
    # 20 m ahead of the camera, 2 m to its left; the bottom 1.6 m below it.
    np.testing.assert_allclose(boxes.centers, [[20.3, 2.0, -1.6 - 0.1 + 0.75]], rtol=1e-6)
    np.testing.assert_allclose(boxes.sizes, [[4.2, 1.8, 1.5]], rtol=1e-6)
    # Without rotation a car points to the camera's right.
    np.testing.assert_allclose(boxes.yaws, [-math.pi / 2], rtol=1e-6)
    assert np.isnan(boxes.velocities).all()
    assert (labels.types, labels.truncation.tolist(), labels.occlusion.tolist()) == (("Car",), [0.25], [1])
    assert (labels.ground_truth.num_points.tolist(), labels.ground_truth.track_ids.tolist()) == ([-1], [-1])


@given(turn=st.floats(-math.pi, math.pi))
def test_heading_turns_against_the_rotation_of_the_camera(
    turn: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "calib.txt").write_text(CALIBRATION)
    labels = read(
        folder, KittiCalibration.read(folder / "calib.txt"), f"{CAR.rpartition(' ')[0]} {turn:.6f}"
    )
    error = labels.ground_truth.boxes.yaws[0] - (-turn - math.pi / 2)
    assert abs(math.remainder(error, 2 * math.pi)) < 1e-5


def test_types_become_classes_or_regions(tmp_path: Path, calibration: KittiCalibration) -> None:
    rest = CAR.partition(" ")[2]
    kinds = ["Van", "Truck", "Cyclist", "Pedestrian", "Person_sitting", "Tram", "Misc", "Misc"]
    care = "DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10"
    labels = read(tmp_path, calibration, *(f"{kind} {rest}" for kind in kinds), "", care)
    found = [CLASS_NAMES[label] for label in labels.ground_truth.boxes.labels]
    assert found == ["CAR", "TRUCK", "BICYCLE", "PEDESTRIAN", "PEDESTRIAN"]
    assert labels.types == tuple(kinds[:5])
    assert labels.left_out == {"Tram": 1, "Misc": 2}
    assert labels.ignored_regions.tolist() == [[100, 50, 200, 90]] * 3 + [[1, 2, 3, 4]]


def test_an_empty_file_says_that_there_is_nothing(tmp_path: Path, calibration: KittiCalibration) -> None:
    labels = read(tmp_path, calibration)
    assert len(labels.ground_truth) == len(labels.types) == len(labels.ignored_regions) == 0


def test_projection_into_the_image(calibration: KittiCalibration) -> None:
    found = calibration.project(np.array([[10.3, 1.0, 0.9], [-5.0, 0.0, 0.0]], np.float32))
    np.testing.assert_allclose(found[0], [600 - 70, 180 - 70, 10.0], rtol=1e-5)
    assert np.isnan(found[1, :2]).all()
    assert found[1, 2] < 0


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Horse" + CAR[3:], "unknown type"),
        (CAR + " 0.9", "wrong number of values"),
        (CAR.replace("20.0", "far"), "not a number"),
        (CAR.replace("20.0", "nan"), "not a finite number"),
        (CAR.replace("0.25", "1.5"), "truncation"),
        (CAR.replace("0.25 1", "0.25 4"), "unknown occlusion"),
        (CAR.replace("4.2", "0"), "no box"),
        (CAR.replace("100 50 200", "300 50 200"), "no rectangle"),
    ],
)
def test_a_wrong_label_is_named(
    line: str, problem: str, tmp_path: Path, calibration: KittiCalibration
) -> None:
    with pytest.raises(DatasetError, match=rf"label\.txt: line 2: {problem}"):
        read(tmp_path, calibration, CAR, line)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("P2", "P7", "P2 is missing"),
        ("R0_rect: 1 0", "R0_rect: 1", "R0_rect: wrong number"),
        ("R0_rect: 1 0 0", "R0_rect: 2 0 0", "R0_rect: not a rotation"),
        ("velo_to_cam: 0 -1", "velo_to_cam: 0 1", "Tr_velo_to_cam: not a rotation"),
        ("600", "x", "line 2: not a number"),
        ("P0", "\xe9", "not a text file"),
    ],
)
def test_a_wrong_calibration_is_named(old: str, new: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "calib.txt").write_text(CALIBRATION.replace(old, new), encoding="utf-8")
    with pytest.raises(DatasetError, match=problem):
        KittiCalibration.read(tmp_path / "calib.txt")


def test_a_missing_file_is_named(tmp_path: Path, calibration: KittiCalibration) -> None:
    with pytest.raises(DatasetError, match=r"none\.txt: cannot be read"):
        read_kitti_labels(tmp_path / "none.txt", calibration)


def points_inside(boxes: Detections, points: np.ndarray, raised: float = 0.0) -> np.ndarray:
    """Number of points in each box lifted by ``raised`` [m]."""
    counts = []
    for center, size, yaw in zip(boxes.centers, boxes.sizes, boxes.yaws, strict=True):
        x, y, z = (points - center - [0, 0, raised]).T
        local = np.stack(
            [math.cos(yaw) * x + math.sin(yaw) * y, math.cos(yaw) * y - math.sin(yaw) * x, z], 1
        )
        counts.append((np.abs(local) <= size / 2).all(axis=1).sum())
    return np.array(counts)


def test_real_boxes_hold_points(assets: Path) -> None:
    """Every visible road user within 40 m does, and fewer if boxes are turned or lifted."""
    inside, turned, lifted, visible = [], [], [], 0
    for path in sorted((assets / "kitti" / "label_2").glob("*.txt")):
        calibration = KittiCalibration.read(assets / "kitti" / "calib" / path.name)
        labels = read_kitti_labels(path, calibration)
        boxes = labels.ground_truth.boxes
        near = np.linalg.norm(boxes.centers[:, :2], axis=1) < 40
        boxes = boxes.select(near & (labels.occlusion == 0) & (labels.truncation < 0.5))
        cloud = read_kitti(assets / "kitti" / "velodyne" / f"{path.stem}.bin")
        points = np.column_stack([cloud.x, cloud.y, cloud.z])
        crosswise = boxes.sizes[:, [1, 0, 2]]
        across = Detections(**{**vars(boxes), "sizes": crosswise})
        visible += len(boxes)
        inside.append(points_inside(boxes, points))
        turned.append(points_inside(across, points))
        lifted.append(points_inside(boxes, points, raised=0.8))
    assert visible > 20
    assert np.concatenate(inside).min() >= 5
    assert np.concatenate(inside).sum() > 1.2 * np.concatenate(turned).sum()
    assert np.concatenate(inside).sum() > 1.2 * np.concatenate(lifted).sum()
