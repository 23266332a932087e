"""What a sweep must bring for a model, and its columns as float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import PointCloudError
from awml_deploy_core.points import PointColumns, Sweep
from awml_extractors.centerpoint.config import CenterPointConfig

Column = npt.NDArray[np.float32]


def check_sweep(position: int, sweep: Sweep) -> None:
    """Refuse a sweep whose place in time and space is not finite.

    Args:
        position: Of the sweep in its frame, for the error.
        sweep: The sweep.

    Raises:
        PointCloudError: The time lag is not finite or the transform not a finite 4x4 matrix.
    """
    if not np.isfinite(sweep.time_lag):
        raise PointCloudError(f"sweep {position}", "time lag is not finite", got=sweep.time_lag)
    matrix = sweep.transform
    if matrix is not None and (matrix.shape != (4, 4) or not np.isfinite(matrix).all()):
        raise PointCloudError(
            f"sweep {position}",
            "transform is invalid",
            got=matrix.tolist(),
            expected="finite 4x4 matrix",
        )


def needed_columns(
    position: int, columns: PointColumns, config: CenterPointConfig
) -> dict[str, npt.NDArray[Any]]:
    """x, y, z and, where the model uses it, intensity, by name.

    Raises:
        PointCloudError: The model needs an intensity that is not there, or a column is not numeric.
    """
    needed: dict[str, npt.NDArray[Any]] = {}
    for name in ("x", "y", "z", "intensity"):
        column = getattr(columns, name)
        if name == "intensity" and name not in config.point_features:
            break
        if column is None:
            raise PointCloudError(
                f"sweep {position}",
                f"has no {name}, which this model needs",
                expected=", ".join(config.point_features),
                hint="Map a field of the cloud to intensity, or use a model trained without it.",
            )
        if column.dtype.kind not in "fiu":
            raise PointCloudError(
                f"sweep {position} column {name}",
                "is not numeric",
                got=column.dtype,
                expected="float or integer",
            )
        needed[name] = column
    return needed


def as_float32(column: npt.NDArray[Any]) -> Column:
    """The column itself if it is native float32 of any stride and alignment, else a converted copy."""
    if column.dtype == np.float32 and column.dtype.isnative:
        return column
    with np.errstate(over="ignore"):
        return column.astype(np.float32)
