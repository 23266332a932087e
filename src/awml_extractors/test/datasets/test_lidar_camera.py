from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from lidar_camera_files import (
    LIDAR_TO_CAMERA,
    calibration_infos,
    camera_entry,
    write_image,
    write_infos,
    write_kitti,
)

from awml_deploy_core.errors import DatasetError
from awml_deploy_core.images import CameraCalibration
from awml_extractors.datasets.kitti_calib import read_kitti_calibration
from awml_extractors.datasets.lidar_camera import ANGLE_RANGE, SHIFT_RANGE, open_lidar_camera, perturbed


def test_kittis_folders(tmp_path: Path) -> None:
    samples = open_lidar_camera(str(write_kitti(tmp_path / "kitti", 3)))
    assert [sample.sample_id for sample in samples] == ["000000", "000001", "000002"]
    frame = samples[1].input
    assert samples[1].ground_truth.class_name == "calibrated"
    assert len(frame.cloud) == 500
    assert frame.cloud.intensity is not None
    assert frame.cloud.intensity.max() > 1
    assert (frame.image.height, frame.image.width) == (48, 64)
    assert len(open_lidar_camera(str(tmp_path / "kitti"), 2)) == 2


def test_kittis_calibration_projects_as_its_matrices_do(assets: Path) -> None:
    path = assets / "kitti" / "calib" / "000008.txt"
    matrices = {
        name: np.array(values.split(), float)
        for name, _, values in (line.partition(":") for line in path.read_text().splitlines() if line)
    }
    point = np.array([12.0, -3.0, 0.5, 1.0])
    tr, r0 = np.eye(4), np.eye(4)
    tr[:3], r0[:3, :3] = matrices["Tr_velo_to_cam"].reshape(3, 4), matrices["R0_rect"].reshape(3, 3)
    expected = matrices["P2"].reshape(3, 4) @ r0 @ tr @ point
    found = read_kitti_calibration(path)
    seen = found.camera_matrix @ (found.lidar_to_camera @ point)[:3]
    np.testing.assert_allclose(seen[:2] / seen[2], expected[:2] / expected[2], rtol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("R0_rect", "R_rect", "R0_rect"),
        ("P2: 100", "P2: 1 100", "P2"),
        ("P2: 100", "P2: far", "far"),
        ("P2: 100", "P2: 0", "of no camera"),
        ("Tr_velo_to_cam: 0 -1", "Tr_velo_to_cam: 5 -1", "Tr_velo_to_cam"),
    ],
)
def test_malformed_calibration(tmp_path: Path, old: str, new: str, problem: str) -> None:
    folder = write_kitti(tmp_path / "kitti", 1)
    path = folder / "calib" / "000000.txt"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=problem):
        open_lidar_camera(str(folder))[0]


def test_info_file_of_awmls_calibration_data(tmp_path: Path) -> None:
    (sample,) = open_lidar_camera(str(calibration_infos(tmp_path / "infos.pkl")))
    assert sample.sample_id == "000000_CAM_FRONT"
    calibration = sample.input.calibration
    np.testing.assert_array_equal(calibration.lidar_to_camera, LIDAR_TO_CAMERA)
    assert calibration.distortion.tolist() == [-0.1, 0.02, 0, 0, 0]
    assert np.asarray(sample.input.cloud.intensity).tolist() == [100, 50]


def test_info_file_with_several_cameras(tmp_path: Path) -> None:
    rectified = camera_entry(distortion_coefficients=None)
    entry = {
        "images": {"CAM_FRONT": rectified, "CAM_BACK": camera_entry(), "CAM_LOST": {"img_path": None}},
        "lidar_points": {"lidar_path": "lidar/a.pcd.bin", "num_pts_feats": 5},
    }
    path = write_infos(tmp_path / "infos.pkl", [entry, entry])
    names = [sample.sample_id for sample in open_lidar_camera(str(path))]
    assert names == ["000000_CAM_FRONT", "000000_CAM_BACK", "000001_CAM_FRONT", "000001_CAM_BACK"]
    samples = open_lidar_camera(f"{path}?camera=CAM_FRONT")
    assert [sample.sample_id for sample in samples] == ["000000_CAM_FRONT", "000001_CAM_FRONT"]
    assert not samples[0].input.calibration.distortion.any()
    with pytest.raises(DatasetError, match="no frame of this camera"):
        open_lidar_camera(f"{path}?camera=CAM_TOP")


def test_root_of_an_info_file(tmp_path: Path) -> None:
    path = calibration_infos(tmp_path / "infos.pkl")
    (tmp_path / "info").mkdir()
    moved = path.rename(tmp_path / "info" / "infos.pkl")
    with pytest.raises(DatasetError, match="no such file"):
        open_lidar_camera(str(moved))[0]
    assert len(open_lidar_camera(f"{moved}?root=..")) == 1
    open_lidar_camera(f"{moved}?root=..")[0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"cam2img": [[0, 0, 1]] * 3}, "no calibration"),
        ({"cam2img": None}, "cam2img: is missing"),
        ({"lidar2cam": np.full((4, 4), np.nan)}, "not a rigid transform"),
        ({"distortion_coefficients": [float("nan")] * 5}, "no calibration"),
        ({"distortion_coefficients": [0] * 8}, "wrong shape"),
        ({"img_path": "CAM/b.png"}, "no such file"),
    ],
)
def test_malformed_camera(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    samples = open_lidar_camera(str(calibration_infos(tmp_path / "infos.pkl", **changes)))
    with pytest.raises(DatasetError, match=problem):
        samples[0]


def test_wrong_calibrations_follow_the_right_ones(tmp_path: Path) -> None:
    source = f"{write_kitti(tmp_path / 'kitti')}?perturbed=4"
    samples = open_lidar_camera(source)
    assert len(samples) == 4
    labels = [sample.ground_truth.class_name for sample in samples]
    assert labels == ["calibrated", "miscalibrated"] * 2
    assert [sample.sample_id for sample in samples[1:3]] == ["000000_miscalibrated", "000001"]
    wrong, again = (open_lidar_camera(source)[1].input.calibration.lidar_to_camera for _ in range(2))
    assert np.array_equal(wrong, again)
    assert not np.array_equal(wrong, samples[3].input.calibration.lidar_to_camera)


def test_wrong_calibrations_are_wrong_by_an_amount_that_matters() -> None:
    right = CameraCalibration(np.eye(3), LIDAR_TO_CAMERA, np.zeros(5))
    for seed in range(50):
        wrong = perturbed(right, np.random.default_rng(seed)).lidar_to_camera
        change = np.linalg.inv(LIDAR_TO_CAMERA) @ wrong
        angle = np.degrees(np.arccos((np.trace(change[:3, :3]) - 1) / 2))
        assert ANGLE_RANGE[0] <= angle <= ANGLE_RANGE[1]
        assert SHIFT_RANGE[0] <= np.linalg.norm(change[:3, 3]) <= SHIFT_RANGE[1]


def test_sources_that_are_none(tmp_path: Path) -> None:
    folder = write_kitti(tmp_path / "kitti", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.pkl").write_bytes(pickle.dumps({"data_list": []}))
    for source, problem in (
        ("missing", "no such folder"),
        ("empty", "KITTI's layout"),
        ("empty.pkl", "no frame with an image"),
        ("kitti?camera=a", "option of info files"),
        ("kitti?perturbed=x", "no seed"),
        ("kitti?seed=1", "unknown option"),
    ):
        with pytest.raises(DatasetError, match=problem):
            open_lidar_camera(str(tmp_path / source))
    (folder / "image_2" / "000000.png").unlink()
    with pytest.raises(DatasetError, match="does not exist"):
        open_lidar_camera(str(folder))[0]
    write_image(folder / "image_2" / "000000.jpg")
    open_lidar_camera(str(folder))[0]
