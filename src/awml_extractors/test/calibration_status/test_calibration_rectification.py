from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.errors import ImageError
from awml_deploy_core.images import CameraCalibration, Image
from awml_extractors.calibration_status.rectification import Rectifier, distort, rectified_camera_matrix

WIDTH, HEIGHT = 64, 48


def camera(*distortion: float) -> CameraCalibration:
    matrix = np.array([[50.0, 0, 31], [0, 52, 25], [0, 0, 1]])
    return CameraCalibration(matrix, np.eye(4), np.array([*distortion, *[0.0] * (5 - len(distortion))]))


def test_image_without_distortion_stays_as_it_is() -> None:
    image = Image(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    calibration = camera()
    assert Rectifier().rectify(image, calibration) == (image, calibration)


def test_camera_matrix_is_opencvs() -> None:
    # cv2.getOptimalNewCameraMatrix(..., alpha=0) of OpenCV 4.11 for these values.
    calibration = camera(-0.31, 0.11, 0.001, -0.0007, -0.02)
    expected = [[43.12203, 0, 30.7506], [0, 48.44877, 25.26855], [0, 0, 1]]
    np.testing.assert_allclose(rectified_camera_matrix(calibration, WIDTH, HEIGHT), expected, atol=1e-3)


def test_straight_lines_become_straight() -> None:
    """A bright line through space, drawn where the lens puts it, is a column of the rectified image."""
    calibration = camera(-0.25, 0.05)
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    line = np.stack([np.full(2000, 0.3), np.linspace(-0.6, 0.6, 2000)], axis=1)
    matrix = calibration.camera_matrix
    drawn = np.rint(distort(line, calibration.distortion) * matrix[[0, 1], [0, 1]] + matrix[:2, 2]).astype(
        int
    )
    kept = drawn[(drawn >= 0).all(1) & (drawn[:, 0] < WIDTH) & (drawn[:, 1] < HEIGHT)]
    for offset in (-1, 0, 1):
        pixels[kept[:, 1], kept[:, 0] + offset] = 255
    rectified, after = Rectifier().rectify(Image(pixels), calibration)
    column = after.camera_matrix[0, 0] * 0.3 + after.camera_matrix[0, 2]
    rows = rectified.pixels[..., 0].astype(float)
    centers = (rows * np.arange(WIDTH)).sum(1) / rows.sum(1)
    assert np.abs(centers - column).max() < 0.8
    assert not after.distortion.any()


def test_table_follows_the_camera() -> None:
    rectifier = Rectifier()
    image = Image(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    for calibration in (camera(-0.2), camera(0.1), camera(-0.2)):
        again = Rectifier().rectify(image, calibration)[0]
        assert np.array_equal(rectifier.rectify(image, calibration)[0].pixels, again.pixels)


def test_impossible_distortion() -> None:
    with pytest.raises(ImageError, match="leaves nothing"):
        rectified_camera_matrix(camera(-30.0), WIDTH, HEIGHT)


@given(st.floats(-0.3, 0.3), st.floats(-0.05, 0.05), st.floats(-0.4, 0.4), st.floats(-0.3, 0.3))
def test_distortion_leaves_the_center(k1: float, p1: float, x: float, y: float) -> None:
    coefficients = np.array([k1, 0, p1, 0, 0])
    assert np.array_equal(distort(np.zeros(2), coefficients), np.zeros(2))
    moved = distort(np.array([x, y]), coefficients) - [x, y]
    r2 = x * x + y * y
    assert np.linalg.norm(moved) <= (abs(k1) * np.sqrt(r2) + 4 * abs(p1)) * r2 + 1e-12
