from __future__ import annotations

import numpy as np
import pytest

from awml_deploy_core.errors import ImageError
from awml_deploy_core.images import CameraCalibration, Image

MATRIX = np.array([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])


def test_size_of_an_image() -> None:
    image = Image(np.zeros((4, 6, 3), np.uint8)[::2])
    assert (image.height, image.width) == (2, 6)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 6), np.uint8),
        np.zeros((4, 6, 4), np.uint8),
        np.zeros((4, 6, 3), np.float32),
        np.zeros((0, 6, 3), np.uint8),
    ],
)
def test_no_image(pixels: np.ndarray) -> None:
    with pytest.raises(ImageError, match="wrong kind of pixels"):
        Image(pixels)


@pytest.mark.parametrize(
    ("matrix", "pose", "distortion", "problem"),
    [
        (np.eye(4), np.eye(4), np.zeros(5), "camera_matrix"),
        (np.diag([0.0, 1, 1]), np.eye(4), np.zeros(5), "no focal length"),
        (MATRIX, 2 * np.eye(4), np.zeros(5), "not a rigid transform"),
        (MATRIX, np.diag([1.0, 1, -1, 1]), np.zeros(5), "not a rigid transform"),
        (MATRIX, np.full((4, 4), np.nan), np.zeros(5), "lidar_to_camera"),
        (MATRIX, np.eye(4), np.zeros(8), "distortion"),
    ],
)
def test_no_calibration(matrix: np.ndarray, pose: np.ndarray, distortion: np.ndarray, problem: str) -> None:
    with pytest.raises(ImageError, match=problem):
        CameraCalibration(matrix, pose, distortion)
