"""Point arrays saved by numpy: ``.npy``, ``.npz`` [N, 3+] of x, y, z [m] and intensity 0 to 255."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import DatasetError
from awml_deploy_core.points import PointColumns
from awml_extractors.datasets.records import require_finite

NPZ_KEY = "points"
"""The array read from a ``.npz`` of several."""

# numpy evaluates the header as Python source and believes its shape and dtype; the zip module
# raises RuntimeError for an encrypted member and for a compression it does not know.
_DAMAGE: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npy(path: Path) -> PointColumns:
    """Columns of the array: views, intensity only if there is a fourth column.

    Raises:
        DatasetError: The file is missing, truncated, holds objects or no array of numbers [N, 3+].
        PointCloudError: No point is finite.
    """
    points = _load(path)
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in "fiu":
        raise DatasetError(
            path,
            "not an array of points",
            got=f"{points.dtype} {list(points.shape)}",
            expected="numbers [N, 3+]",
        )
    return require_finite(path, PointColumns.from_array(points))


def _load(path: Path) -> npt.NDArray[Any]:
    try:
        # Opened here, because numpy leaves a file open whose zip directory is damaged.
        with path.open("rb") as file:
            return _array(np.load(file, allow_pickle=False), path)
    except OSError as error:
        raise DatasetError(path, "cannot be read", got=error.strerror or error) from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if "allow_pickle" in reason:
            # numpy would advise to load it unsafely; it says so of any file that is not its own.
            reason = "pickled objects, or no numpy file"
        raise DatasetError(path, "not a readable numpy file", got=reason) from error


def _array(loaded: Any, path: Path) -> npt.NDArray[Any]:
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded as archive:
        names = list(archive.files)
        key = names[0] if len(names) == 1 else NPZ_KEY
        found = archive[key] if key in names else None
    if found is None:
        raise DatasetError(
            path, "no array of points", got=f"arrays {', '.join(names) or 'none'}", expected=NPZ_KEY
        )
    if not isinstance(found, np.ndarray):
        raise DatasetError(path, "not a readable numpy file", got=f"{key} is no array")
    return found
