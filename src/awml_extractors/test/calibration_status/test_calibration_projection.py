from __future__ import annotations

import numpy as np
import pytest

from awml_deploy_core.errors import PointCloudError
from awml_deploy_core.images import CameraCalibration, Image, LidarCameraFrame
from awml_deploy_core.points import PointColumns
from awml_extractors.calibration_status.projection import make_input

WIDTH, HEIGHT = 20, 16
MATRIX = np.array([[10.0, 0, 10], [0, 10, 8], [0, 0, 1]])


def frame(points: list[list[float]], pixels: np.ndarray | None = None) -> LidarCameraFrame:
    """Points x, y, z, intensity in the frame of the camera."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8) if pixels is None else pixels
    calibration = CameraCalibration(MATRIX, np.eye(4), np.zeros(5))
    cloud = PointColumns.from_array(np.array(points, np.float32).reshape(-1, 4))
    return LidarCameraFrame(Image(image), cloud, calibration)


def channels(points: list[list[float]], dilation: int = 0) -> tuple[np.ndarray, np.ndarray]:
    tensor, _ = make_input(frame(points), 128.0, dilation)
    return tensor[0, 3], tensor[0, 4]


def test_colours_are_blue_green_red_over_255() -> None:
    pixels = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    tensor, projected = make_input(frame([], pixels), 128.0, 1)
    assert tensor.shape == (1, 5, HEIGHT, WIDTH)
    assert tensor.dtype == np.float32
    assert np.array_equal(tensor[0, :3], pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255))
    assert projected == 0
    assert not tensor[0, 3:].any()


def test_point_is_depth_and_intensity_in_its_pixel() -> None:
    depth, intensity = channels([[0.55, -0.25, 1.0, 51.0]])
    assert np.argwhere(depth).tolist() == [[5, 15]]
    assert depth[5, 15] == pytest.approx(1 / 128)
    assert intensity[5, 15] == pytest.approx(51 / 255)


def test_dilation_covers_a_patch_and_ends_at_the_edge() -> None:
    depth, _ = channels([[0, 0, 2, 9]], dilation=1)
    assert np.argwhere(depth).tolist() == [[r, c] for r in (7, 8, 9) for c in (9, 10, 11)]
    depth, _ = channels([[-1.0, -0.75, 1, 9]], dilation=1)
    assert np.argwhere(depth).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_nearest_point_counts(order: list[int]) -> None:
    points = [[0.0, 0, 4, 10], [0.0, 0, 2, 20]]
    depth, intensity = channels([points[i] for i in order])
    assert depth[8, 10] == pytest.approx(2 / 128)
    assert intensity[8, 10] == pytest.approx(20 / 255)


def test_first_of_equally_near_points_counts() -> None:
    _, intensity = channels([[0.0, 0, 2, 30], [0.0, 0, 2, 20]])
    assert intensity[8, 10] == pytest.approx(30 / 255)


@pytest.mark.parametrize(
    "point",
    [[0, 0, -1, 9], [0, 0, 0, 9], [0, 0, 128, 9], [5, 0, 1, 9], [np.nan, 0, 1, 9], [0, 0, np.inf, 9]],
    ids=["behind", "at the camera", "too far", "beside", "NaN", "infinite"],
)
def test_points_that_are_not_seen(point: list[float]) -> None:
    tensor, projected = make_input(frame([point]), 128.0, 1)
    assert projected == 0
    assert not tensor.any()


def test_cloud_without_intensity() -> None:
    whole = frame([[0, 0, 1, 1]])
    cloud = PointColumns(whole.cloud.x, whole.cloud.y, whole.cloud.z)
    with pytest.raises(PointCloudError, match="intensity"):
        make_input(LidarCameraFrame(whole.image, cloud, whole.calibration), 128.0, 1)
