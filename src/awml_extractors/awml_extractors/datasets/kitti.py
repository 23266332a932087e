"""KITTI sweeps: ``.bin`` files of float32 [N, 4] records x, y, z [m], reflectance 0 to 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from awml_deploy_core.errors import DatasetError
from awml_deploy_core.points import PointColumns
from awml_extractors.datasets.records import read_records, require_finite

REFLECTANCE_TO_INTENSITY = 255.0
"""KITTI's reflectance 0 to 1, times this, is an intensity 0 to 255."""


def read_kitti(path: Path) -> PointColumns:
    """Columns of one sweep in the velodyne frame, intensity 0 to 255.

    Raises:
        DatasetError: The file is missing, truncated or not in KITTI's format.
        PointCloudError: No point is finite.
    """
    points = read_records(path, 4)
    reflectance = points[:, 3]
    low, high = float(np.nanmin(reflectance, initial=0.0)), float(np.nanmax(reflectance, initial=0.0))
    if not 0.0 <= low <= high <= 1.0:
        raise DatasetError(
            path,
            "reflectance outside KITTI's range",
            got=f"{low:g}..{high:g}",
            expected="0..1",
            hint="Write nuScenes sweeps as PATH?format=nuscenes; convert others to .npy.",
        )
    columns = PointColumns(
        points[:, 0], points[:, 1], points[:, 2], reflectance * np.float32(REFLECTANCE_TO_INTENSITY)
    )
    return require_finite(path, columns)
