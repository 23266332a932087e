"""KITTI's calibration of a frame as that of its left colour camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from awml_deploy_core.errors import DatasetError, ImageError
from awml_deploy_core.images import CameraCalibration
from awml_extractors.datasets.kitti_labels import KittiCalibration


def read_kitti_calibration(path: Path) -> CameraCalibration:
    """Calibration of ``image_2``, whose images are rectified.

    Raises:
        DatasetError: The file is missing, malformed or lacks a matrix.
    """
    found = KittiCalibration.read(path)
    camera_matrix, to_camera = found.projection[:, :3], found.to_camera.copy()
    try:
        # The projection's last column is where the reference camera is in this one, in pixels.
        to_camera[:3, 3] += np.linalg.solve(camera_matrix, found.projection[:, 3])
        return CameraCalibration(camera_matrix, to_camera, np.zeros(5))
    except (ImageError, np.linalg.LinAlgError) as error:
        raise DatasetError(path, "P2 is of no camera", got=error) from error
