"""Camera images, cameras and what a camera and a LiDAR saw at one time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import ImageError
from awml_deploy_core.points import PointColumns

_RIGID_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Image:
    """One camera image.

    Raises:
        ImageError: The pixels are no image.
    """

    pixels: npt.NDArray[np.uint8]
    """uint8 [H, W, 3]: blue, green, red; row 0 is the top. May be a strided view of a message."""
    frame_id: str = ""
    stamp_ns: int = 0

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ImageError(
                "image", "wrong kind of pixels", got=f"{dtype} {shape}", expected="uint8 [H, W, 3]"
            )

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """Intrinsics of a camera, and where a LiDAR is in its frame.

    The frame of a camera has x to the right, y down and z along the view.

    Raises:
        ImageError: A value is not finite, of the wrong shape or impossible.
    """

    camera_matrix: npt.NDArray[np.float64]
    """float64 [3, 3] of the image as it was taken [px]; skew is taken as zero."""
    lidar_to_camera: npt.NDArray[np.float64]
    """float64 [4, 4]: rigid transform from the frame of the LiDAR into that of the camera [m]."""
    distortion: npt.NDArray[np.float64]
    """float64 [5]: k1, k2, p1, p2, k3 of OpenCV's plumb bob model; zeros for a rectified image."""

    def __post_init__(self) -> None:
        for name, shape in (("camera_matrix", (3, 3)), ("lidar_to_camera", (4, 4)), ("distortion", (5,))):
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ImageError(
                    f"calibration.{name}",
                    "is not an array of finite numbers",
                    got=value.tolist(),
                    expected=f"shape {list(shape)}",
                )
        if not (self.camera_matrix[0, 0] > 0 and self.camera_matrix[1, 1] > 0):
            raise ImageError(
                "calibration.camera_matrix",
                "has no focal length",
                got=f"fx {self.camera_matrix[0, 0]:g}, fy {self.camera_matrix[1, 1]:g}",
                expected="above 0",
            )
        rotation = self.lidar_to_camera[:3, :3]
        error = np.abs(rotation @ rotation.T - np.eye(3)).max()
        error += np.abs(self.lidar_to_camera[3] - [0, 0, 0, 1]).max()
        if error > _RIGID_TOLERANCE or np.linalg.det(rotation) < 0:
            raise ImageError(
                "calibration.lidar_to_camera",
                "is not a rigid transform",
                got=self.lidar_to_camera.tolist(),
                expected="a rotation and a translation",
            )


@dataclass(frozen=True, eq=False)
class LidarCameraFrame:
    """An image, a cloud of the same time, and how they are said to belong together."""

    image: Image
    cloud: PointColumns
    """In the frame of the LiDAR."""
    calibration: CameraCalibration
