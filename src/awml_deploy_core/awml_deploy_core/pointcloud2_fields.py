"""What a sensor_msgs/PointCloud2 declares: the message's shape, point records and their fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from awml_deploy_core.errors import PointCloudError

DATATYPES: dict[int, str] = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""numpy type code of each PointField datatype constant, INT8 (1) to FLOAT64 (8)."""

DATATYPE_NAMES = "INT8 1, UINT8 2, INT16 3, UINT16 4, INT32 5, UINT32 6, FLOAT32 7, FLOAT64 8"
"""The same for people, with their constants."""

POINT_XYZIRC: np.dtype[np.void] = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("intensity", "u1"),
        ("return_type", "u1"),
        ("channel", "<u2"),
    ]
)
"""Autoware's PointXYZIRC record, 16 bytes."""

POINT_XYZIRCAEDT: np.dtype[np.void] = np.dtype(
    [
        *((name, POINT_XYZIRC[name]) for name in POINT_XYZIRC.names or ()),
        ("azimuth", "<f4"),
        ("elevation", "<f4"),
        ("distance", "<f4"),
        ("time_stamp", "<u4"),
    ]
)
"""Autoware's PointXYZIRCAEDT record, 32 bytes."""


class PointFieldLike(Protocol):
    """A sensor_msgs/PointField."""

    @property
    def name(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def datatype(self) -> int: ...
    @property
    def count(self) -> int: ...


class PointCloud2Like(Protocol):
    """A sensor_msgs/PointCloud2, header aside."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def fields(self) -> Sequence[Any]: ...
    @property
    def is_bigendian(self) -> bool: ...
    @property
    def point_step(self) -> int: ...
    @property
    def row_step(self) -> int: ...
    @property
    def data(self) -> Any: ...


@dataclass(frozen=True)
class RecordField:
    """One field of a point record; satisfies :class:`PointFieldLike`."""

    name: str
    offset: int
    datatype: int
    count: int = 1


def fields_of(record: np.dtype[Any]) -> tuple[RecordField, ...]:
    """Fields of a structured dtype of scalars, as a PointCloud2 declares them.

    Raises:
        PointCloudError: A field has a type that PointCloud2 cannot hold.
    """
    codes = {code: datatype for datatype, code in DATATYPES.items()}
    found = []
    for name, (dtype, offset, *_) in (record.fields or {}).items():
        code = f"{dtype.kind}{dtype.itemsize}"
        if code not in codes:
            raise PointCloudError(f"field {name}", "unknown datatype", got=dtype, expected=DATATYPE_NAMES)
        found.append(RecordField(name, offset, codes[code]))
    return tuple(found)
