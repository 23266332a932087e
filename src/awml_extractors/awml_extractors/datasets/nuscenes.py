"""nuScenes sweeps: ``.pcd.bin`` files of float32 [N, 5] records x, y, z [m], intensity 0 to 255, ring."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from awml_deploy_core.errors import DatasetError
from awml_deploy_core.points import PointColumns
from awml_extractors.datasets.records import read_records, require_finite


def read_nuscenes(path: Path) -> PointColumns:
    """Columns of one sweep in the LiDAR frame (x right, y forward, z up), views of the file's content.

    Raises:
        DatasetError: The file is missing, truncated or not in nuScenes' format.
        PointCloudError: No point is finite.
    """
    points = read_records(path, 5)
    columns = require_finite(path, PointColumns.from_array(points[:, :4]))
    ring = points[:, 4]
    wrong = ring[(ring != np.rint(ring)) | (ring < 0)]
    if len(wrong):
        raise DatasetError(
            path,
            "ring is not a beam number",
            got=f"{wrong[0]:g}",
            expected="whole numbers from 0",
            hint="Write KITTI sweeps as PATH?format=kitti.",
        )
    return columns
