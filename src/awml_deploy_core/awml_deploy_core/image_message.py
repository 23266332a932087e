"""sensor_msgs/Image and sensor_msgs/CameraInfo, read without ROS.

Works on any object with the messages' attributes: rclpy's (``data`` is an ``array('B')``) and those
that rosbags decodes (``data`` is a read-only ndarray).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from awml_deploy_core.bayer import PATTERNS, demosaic
from awml_deploy_core.errors import ImageError
from awml_deploy_core.images import CameraCalibration

_BAYER = {f"bayer_{pattern}8": pattern for pattern in PATTERNS}
_CHANNELS = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "mono8": 1, **dict.fromkeys(_BAYER, 1)}
ENCODINGS = tuple(_CHANNELS)
"""Encodings that :func:`pixels_of` reads."""
DISTORTION_MODEL = "plumb_bob"


class ImageLike(Protocol):
    """sensor_msgs/Image."""

    height: int
    width: int
    encoding: str
    is_bigendian: Any
    step: int
    data: Any


class CameraInfoLike(Protocol):
    """sensor_msgs/CameraInfo."""

    height: int
    width: int
    distortion_model: str
    d: Sequence[float]
    k: Sequence[float]
    r: Sequence[float]
    p: Sequence[float]
    binning_x: int
    binning_y: int
    roi: Any


def pixels_of(message: ImageLike) -> npt.NDArray[np.uint8]:
    """The pixels of an image: uint8 [H, W, 3], blue, green, red.

    A view of the message's bytes where they have three channels or more; padding at the end of rows
    is skipped. ``is_bigendian`` says nothing, since a channel is one byte.

    Raises:
        ImageError: The encoding is not one of :data:`ENCODINGS`, the image is empty, or its sizes
            contradict each other.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    channels = _CHANNELS.get(message.encoding)
    if channels is None:
        raise ImageError(
            "image.encoding",
            "cannot be read",
            got=repr(message.encoding),
            expected=" or ".join(ENCODINGS),
            hint="Let the camera's driver or a converter publish one of these.",
        )
    if not (height and width):
        raise ImageError("image", "has no pixels", got=f"{width} x {height} px", expected="at least one")
    if step < width * channels:
        raise ImageError(
            "image.step",
            "is shorter than a row",
            got=f"{step} bytes",
            expected=f"at least {width * channels} for {width} px of {message.encoding}",
        )
    data = np.frombuffer(message.data, np.uint8)
    if len(data) != step * height:
        raise ImageError(
            "image.data",
            "wrong length",
            got=f"{len(data)} bytes",
            expected=f"{step * height}: {height} rows of {step}",
        )
    pixels = data.reshape(height, step)[:, : width * channels].reshape(height, width, channels)
    if message.encoding in _BAYER:
        return demosaic(pixels[..., 0], _BAYER[message.encoding])
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    if message.encoding.startswith("rgb"):
        return pixels[..., 2::-1]
    return pixels[..., :3]


def calibration_of(
    info: CameraInfoLike, lidar_to_camera: npt.NDArray[np.float64], *, rectified: bool = False
) -> CameraCalibration:
    """The calibration that a camera tells, with where a LiDAR is.

    Args:
        info: Of an image at full size.
        lidar_to_camera: float64 [4, 4]: from the frame of the LiDAR into the camera's optical frame [m].
        rectified: Whether the image is rectified already: then ``p`` counts, and no distortion.

    Raises:
        ImageError: The camera is not calibrated, has another distortion model than plumb bob, or gives
            its images cut or binned; or a value is impossible.
    """
    _check_whole(info)
    if rectified:
        projection = np.array(info.p, np.float64).reshape(3, 4)
        if projection[:, 3].any():
            raise ImageError(
                "camera_info.p",
                "is of the second camera of a stereo pair",
                got=f"Tx {projection[0, 3]:g}, Ty {projection[1, 3]:g}",
                expected="0",
                hint="Use the images of the first camera, or unrectified ones.",
            )
        turn = np.array(info.r, np.float64).reshape(3, 3)
        # A message that leaves the rectification out has zeros.
        if turn.any():
            lidar_to_camera = lidar_to_camera.copy()
            lidar_to_camera[:3] = turn @ lidar_to_camera[:3]
        return CameraCalibration(projection[:, :3], lidar_to_camera, np.zeros(5))
    return CameraCalibration(np.array(info.k, np.float64).reshape(3, 3), lidar_to_camera, _distortion(info))


def check_size(info: CameraInfoLike, image: ImageLike) -> None:
    """Raise an ImageError if an image is not of the size that its camera tells."""
    if (info.width, info.height) != (image.width, image.height):
        raise ImageError(
            "camera_info",
            "is of another size than the image",
            got=f"{info.width} x {info.height} px",
            expected=f"{image.width} x {image.height} px",
            hint="Scale both alike, or neither.",
        )


def _check_whole(info: CameraInfoLike) -> None:
    roi = info.roi
    if info.binning_x > 1 or info.binning_y > 1 or roi.x_offset or roi.y_offset:
        raise ImageError(
            "camera_info",
            "is of a cut or binned image",
            got=f"binning {info.binning_x} x {info.binning_y}, offset {roi.x_offset}, {roi.y_offset}",
            expected="whole images",
        )


def _distortion(info: CameraInfoLike) -> npt.NDArray[np.float64]:
    given = np.array(info.d, np.float64)
    if not given.any():
        return np.zeros(5)
    if info.distortion_model != DISTORTION_MODEL or len(given) not in (4, 5):
        raise ImageError(
            "camera_info.distortion_model",
            "cannot be undone",
            got=f"{info.distortion_model!r} with {len(given)} coefficients",
            expected=f"{DISTORTION_MODEL} with 4 or 5",
            hint="Give the node rectified images (parameter image_is_rectified).",
        )
    return np.pad(given, (0, 5 - len(given)))
