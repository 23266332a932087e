"""Point clouds as columns, and the sweeps that make up one frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import PointCloudError


class CloudIdentity:
    """Says of two columns that they hold the same points, wherever these are."""


@dataclass(frozen=True, eq=False)
class PointColumns:
    """Columns of one cloud: arrays of one length [N], possibly strided views of a message.

    Any numeric dtype, stride, alignment and byte order; consumers convert to float32.
    """

    x: npt.NDArray[Any]
    """[m], in the frame of the cloud."""
    y: npt.NDArray[Any]
    z: npt.NDArray[Any]
    intensity: npt.NDArray[Any] | None = None
    """Raw return intensity, 0 to 255."""
    identity: CloudIdentity = field(default_factory=CloudIdentity, repr=False)
    """A copy of a cloud keeps it, so that a device that has the cloud need not be sent it again."""

    def __post_init__(self) -> None:
        for name in ("x", "y", "z", "intensity"):
            column = getattr(self, name)
            if column is not None and column.shape != (len(self.x),):
                raise PointCloudError(
                    f"column {name}", "wrong shape", got=column.shape, expected=(len(self.x),)
                )

    def __len__(self) -> int:
        return len(self.x)

    def count_non_finite(self) -> int:
        """Points with a coordinate that is NaN or infinite."""
        columns = [column for column in (self.x, self.y, self.z) if column.dtype.kind == "f"]
        # A sum is several times cheaper than a mask, and finite for nearly every cloud.
        with np.errstate(over="ignore", invalid="ignore"):
            if all(np.isfinite(column.sum()) for column in columns):
                return 0
        finite = np.ones(len(self), bool)
        for column in columns:
            finite &= np.isfinite(column)
        return int(len(self) - np.count_nonzero(finite))

    @classmethod
    def from_array(cls, points: npt.NDArray[Any]) -> PointColumns:
        """Columns of an array [N, 3+]: x, y, z and, if present, intensity."""
        if points.ndim != 2 or points.shape[1] < 3:
            raise PointCloudError("point array", "wrong shape", got=points.shape, expected="[N, 3+]")
        intensity = points[:, 3] if points.shape[1] > 3 else None
        return cls(points[:, 0], points[:, 1], points[:, 2], intensity)


@dataclass(frozen=True, eq=False)
class Sweep:
    """One cloud with its place in time and space relative to the current frame."""

    columns: PointColumns
    time_lag: float = 0.0
    """Current stamp minus this sweep's stamp [s]; 0 for the current sweep."""
    transform: npt.NDArray[np.float64] | None = None
    """float64 [4, 4] from this sweep's frame into the current frame; None is identity."""


@dataclass(frozen=True, eq=False)
class PointCloudFrame:
    """Input of one inference: the current sweep first, then past sweeps."""

    sweeps: tuple[Sweep, ...]
    frame_id: str = ""
    stamp_ns: int = 0

    @classmethod
    def single(cls, columns: PointColumns, frame_id: str = "", stamp_ns: int = 0) -> PointCloudFrame:
        """A frame of the current sweep alone."""
        return cls((Sweep(columns),), frame_id, stamp_ns)

    @property
    def num_points(self) -> int:
        return sum(len(sweep.columns) for sweep in self.sweeps)
