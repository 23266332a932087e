"""A cloud projected into the image of a camera: the network's input.

Channels, order and scale are those of AWML's ``CalibrationClassificationTransform``: blue, green,
red, depth, intensity, all divided by 255, where depth is 255 at the greatest depth and intensity is
raw. Of several points in one pixel the nearest counts; of equally near ones, the first of the cloud.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import PointCloudError
from awml_deploy_core.images import CameraCalibration, LidarCameraFrame
from awml_deploy_core.points import PointColumns
from awml_extractors.calibration_status.config import CHANNELS
from awml_extractors.calibration_status.rectification import distort

_FULL = np.float32(255.0)


@dataclass(frozen=True, eq=False)
class ProjectedPoints:
    """Points that are seen in an image, in the order of the cloud."""

    pixels: npt.NDArray[np.float64]
    """float64 [N, 2]: column and row, not rounded."""
    depths: npt.NDArray[np.float64]
    """float64 [N]: z in the frame of the camera [m]."""
    intensities: npt.NDArray[np.float32]
    """float32 [N]: raw, 0 to 255."""

    def __len__(self) -> int:
        return len(self.depths)


def project(
    cloud: PointColumns, calibration: CameraCalibration, width: int, height: int, max_depth: float
) -> ProjectedPoints:
    """Points in front of the camera, nearer than ``max_depth`` [m] and inside the image.

    Raises:
        PointCloudError: The cloud has no intensity.
    """
    if cloud.intensity is None:
        raise PointCloudError(
            "cloud",
            "has no intensity",
            expected="a fourth column, 0 to 255",
            hint="The classifier needs it; use clouds that have it.",
        )
    points = np.stack([np.asarray(c, np.float64) for c in (cloud.x, cloud.y, cloud.z)], axis=1)
    transform = calibration.lidar_to_camera
    with np.errstate(over="ignore", invalid="ignore"):
        in_camera = points @ transform[:3, :3].T + transform[:3, 3]
    # Comparisons are false for points that are not finite.
    kept = np.flatnonzero((in_camera[:, 2] > 0) & (in_camera[:, 2] < max_depth))
    in_camera = in_camera[kept]
    matrix = calibration.camera_matrix
    with np.errstate(over="ignore", invalid="ignore"):
        rays = in_camera[:, :2] / in_camera[:, 2:]
        pixels = distort(rays, calibration.distortion) * matrix[[0, 1], [0, 1]] + matrix[:2, 2]
        inside = (
            (pixels[:, 0] >= 0)
            & (pixels[:, 0] <= width - 1)
            & (pixels[:, 1] >= 0)
            & (pixels[:, 1] <= height - 1)
        )
    intensities = np.asarray(cloud.intensity, np.float32)[kept][inside]
    return ProjectedPoints(pixels[inside], in_camera[inside, 2], intensities)


def make_input(
    frame: LidarCameraFrame, max_depth: float, dilation: int
) -> tuple[npt.NDArray[np.float32], int]:
    """The network's input, float32 [1, 5, H, W], and the number of points in it.

    Args:
        frame: Rectified, or the projection is distorted as the image is.
        max_depth: Points from this depth [m] on are left out.
        dilation: Pixels that a point covers to each side of its own.

    Raises:
        PointCloudError: The cloud has no intensity.
    """
    image = frame.image
    points = project(frame.cloud, frame.calibration, image.width, image.height, max_depth)
    result = np.zeros((CHANNELS, image.height, image.width), np.float32)
    np.divide(image.pixels.transpose(2, 0, 1), _FULL, out=result[:3])
    # Written from the farthest to the nearest, and of equals the first of the cloud last.
    order = np.argsort(points.depths, kind="stable")[::-1]
    columns, rows = points.pixels[order].astype(np.int64).T
    depths = (255 * points.depths[order] / max_depth).astype(np.float32) / _FULL
    intensities = points.intensities[order] / _FULL
    offset = np.arange(-dilation, dilation + 1)
    patch_rows = np.repeat(rows, len(offset) ** 2) + np.tile(np.repeat(offset, len(offset)), len(rows))
    patch_columns = np.repeat(columns, len(offset) ** 2) + np.tile(offset, len(offset) * len(rows))
    inside = (
        (patch_rows >= 0)
        & (patch_rows < image.height)
        & (patch_columns >= 0)
        & (patch_columns < image.width)
    )
    target = patch_rows[inside], patch_columns[inside]
    result[3][target] = np.repeat(depths, len(offset) ** 2)[inside]
    result[4][target] = np.repeat(intensities, len(offset) ** 2)[inside]
    return result[None], len(points)
