"""Headerless files of float32 records, the raw form of KITTI's and nuScenes' sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import DatasetError, PointCloudError
from awml_deploy_core.points import PointColumns


def read_bytes(path: Path) -> bytes:
    """The content of a file that must not be empty.

    Raises:
        DatasetError: The file is missing, unreadable or empty.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(path, "cannot be read", got=error.strerror) from error
    if not content:
        raise DatasetError(path, "file is empty", hint="Copy or download it again.")
    return content


def read_records(path: Path, values: int) -> npt.NDArray[np.float32]:
    """A file of little-endian float32 records as a read-only array [N, values].

    Raises:
        DatasetError: The file is missing, unreadable, empty or no whole number of records.
    """
    content = read_bytes(path)
    size = 4 * values
    if len(content) % size:
        raise DatasetError(
            path,
            "not a whole number of points",
            got=f"{len(content)} bytes",
            expected=f"a multiple of {size} ({values} x float32 a point)",
            hint="The file is truncated or of another format; name one as PATH?format=NAME.",
        )
    return np.frombuffer(content, "<f4").reshape(-1, values)


def require_finite(path: Path, columns: PointColumns) -> PointColumns:
    """``columns``, unless there are points and none has finite coordinates.

    Single non-finite points are legitimate: LiDAR drivers mark lost returns with them.

    Raises:
        PointCloudError: No point is finite.
    """
    finite = np.isfinite(columns.x) & np.isfinite(columns.y) & np.isfinite(columns.z)
    if len(columns) and not finite.any():
        raise PointCloudError(path, "no point has finite coordinates", got=f"{len(columns)} points")
    return columns
