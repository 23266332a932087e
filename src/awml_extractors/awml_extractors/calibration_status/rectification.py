"""Images as a camera without distortion would have taken them.

Does what AWML does with OpenCV's ``getOptimalNewCameraMatrix`` (alpha 0: no pixel without image)
and ``undistort``, without OpenCV. Its fixed-point interpolation is done in float32 here, so that
pixels may differ from OpenCV's by rounding.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import ImageError
from awml_deploy_core.images import CameraCalibration, Image

FloatArray = npt.NDArray[np.float64]

_GRID = 9
"""Points to a side of the grid that the visible part is measured with, as in OpenCV."""
_ITERATIONS = 5
"""Of the fixed-point iteration that inverts the distortion, as in OpenCV."""


def distort(points: FloatArray, distortion: FloatArray) -> FloatArray:
    """Where a lens moves points.

    Args:
        points: float64 [..., 2]: x / z and y / z in the frame of the camera.
        distortion: float64 [5]: k1, k2, p1, p2, k3.
    """
    k1, k2, p1, p2, k3 = distortion
    x, y = points[..., 0], points[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def rectified_camera_matrix(calibration: CameraCalibration, width: int, height: int) -> FloatArray:
    """float64 [3, 3]: camera matrix of the rectified image, which shows image everywhere.

    Raises:
        ImageError: The distortion turns the image inside out.
    """
    u, v = np.meshgrid(np.linspace(0, width - 1, _GRID), np.linspace(0, height - 1, _GRID))
    points = _undistort(
        _normalized(np.stack([u, v], axis=-1), calibration.camera_matrix), calibration.distortion
    )
    left, right = points[:, 0, 0].max(), points[:, -1, 0].min()
    top, bottom = points[0, :, 1].max(), points[-1, :, 1].min()
    if not (right > left and bottom > top):
        raise ImageError(
            "calibration.distortion",
            "leaves nothing of the image",
            got=calibration.distortion.tolist(),
            expected="k1, k2, p1, p2, k3 of OpenCV's plumb bob model",
        )
    fx, fy = (width - 1) / (right - left), (height - 1) / (bottom - top)
    return np.array([[fx, 0, -fx * left], [0, fy, -fy * top], [0, 0, 1]])


class Rectifier:
    """Rectifies images; keeps the table of the last camera, which takes longer to make than to use."""

    def __init__(self) -> None:
        self._key: tuple[bytes, bytes, int, int] | None = None
        self._camera_matrix = np.eye(3)
        self._corners: tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]] | None = None

    def rectify(self, image: Image, calibration: CameraCalibration) -> tuple[Image, CameraCalibration]:
        """The image without distortion, and the calibration that belongs to it.

        An image without distortion is given back as it is.

        Raises:
            ImageError: The distortion is impossible.
        """
        if not calibration.distortion.any():
            return image, calibration
        key = (
            calibration.camera_matrix.tobytes(),
            calibration.distortion.tobytes(),
            image.width,
            image.height,
        )
        if key != self._key or self._corners is None:
            self._camera_matrix = rectified_camera_matrix(calibration, image.width, image.height)
            self._corners = _table(calibration, self._camera_matrix, image.width, image.height)
            self._key = key
        pixels = _interpolate(image.pixels, *self._corners)
        rectified = replace(calibration, camera_matrix=self._camera_matrix, distortion=np.zeros(5))
        return Image(pixels, image.frame_id, image.stamp_ns), rectified


def _normalized(pixels: FloatArray, camera_matrix: FloatArray) -> FloatArray:
    focal, center = camera_matrix[[0, 1], [0, 1]], camera_matrix[:2, 2]
    normalized: FloatArray = (pixels - center) / focal
    return normalized


def _undistort(points: FloatArray, distortion: FloatArray) -> FloatArray:
    k1, k2, p1, p2, k3 = distortion
    result = points
    for _ in range(_ITERATIONS):
        x, y = result[..., 0], result[..., 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        tangential = np.stack(
            [2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=-1
        )
        result = (points - tangential) / radial[..., None]
    return result


def _table(
    calibration: CameraCalibration, camera_matrix: FloatArray, width: int, height: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """For every pixel the index of the four around its source and their weights, both [H * W, 4]."""
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    ideal = _normalized(np.stack([u, v], axis=-1), camera_matrix)
    matrix = calibration.camera_matrix
    source = distort(ideal, calibration.distortion) * matrix[[0, 1], [0, 1]] + matrix[:2, 2]
    source = source.reshape(-1, 2)
    low = np.floor(source)
    fraction = (source - low).astype(np.float32)
    x, y = low[:, 0].astype(np.int64), low[:, 1].astype(np.int64)
    fx, fy = fraction[:, 0], fraction[:, 1]
    indices, weights = [], []
    for dx, dy, weight in (
        (0, 0, (1 - fx) * (1 - fy)),
        (1, 0, fx * (1 - fy)),
        (0, 1, (1 - fx) * fy),
        (1, 1, fx * fy),
    ):
        inside = (x + dx >= 0) & (x + dx < width) & (y + dy >= 0) & (y + dy < height)
        indices.append(np.where(inside, (y + dy) * width + x + dx, 0).astype(np.int32))
        weights.append(np.where(inside, weight, np.float32(0)))
    return np.stack(indices, axis=1), np.stack(weights, axis=1)


def _interpolate(
    pixels: npt.NDArray[np.uint8], indices: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    flat = np.ascontiguousarray(pixels).reshape(-1, 3)
    total = np.zeros(flat.shape, np.float32)
    for corner in range(4):
        total += flat[indices[:, corner]] * weights[:, corner, None]
    return np.rint(total).astype(np.uint8).reshape(pixels.shape)
