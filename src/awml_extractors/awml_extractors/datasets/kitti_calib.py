"""KITTI's object benchmark: ``calib/*.txt`` with the cameras and the LiDAR of a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import DatasetError, ImageError
from awml_deploy_core.images import CameraCalibration
from awml_extractors.datasets.records import read_bytes


def read_kitti_calibration(path: Path, camera: int = 2) -> CameraCalibration:
    """Calibration of a rectified camera: 2 is the left colour camera, 3 the right one.

    Raises:
        DatasetError: The file is missing, malformed or lacks a matrix.
    """
    matrices = _read(path)
    projection = _matrix(path, matrices, f"P{camera}", (3, 4))
    rectification = _matrix(path, matrices, "R0_rect", (3, 3))
    mounting = _matrix(path, matrices, "Tr_velo_to_cam", (3, 4))
    camera_matrix = projection[:, :3]
    to_camera = np.eye(4)
    to_camera[:3] = rectification @ mounting
    # The projection's last column is where the reference camera is in this one, in pixels.
    to_camera[:3, 3] += np.linalg.solve(camera_matrix, projection[:, 3])
    try:
        return CameraCalibration(camera_matrix, to_camera, np.zeros(5))
    except ImageError as error:
        raise DatasetError(path, "no calibration", got=error) from error


def _read(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    matrices = {}
    text = read_bytes(path).decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        name, separator, values = line.partition(":")
        if not line.strip():
            continue
        try:
            matrices[name.strip()] = np.array([float(value) for value in values.split()])
        except ValueError as error:
            raise DatasetError(f"{path}:{number}", "not numbers", got=error) from None
        if not separator:
            raise DatasetError(
                f"{path}:{number}", "no line of a calibration", got=line, expected="NAME: numbers"
            )
    return matrices


def _matrix(
    path: Path, matrices: dict[str, npt.NDArray[np.float64]], name: str, shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    values = matrices.get(name)
    if values is None or values.size != shape[0] * shape[1] or not np.isfinite(values).all():
        raise DatasetError(
            path,
            f"has no {name}" if values is None else f"{name} is no matrix",
            got=", ".join(matrices) or "nothing" if values is None else f"{values.size} numbers",
            expected=f"{shape[0] * shape[1]} finite numbers",
        )
    return values.reshape(shape)
