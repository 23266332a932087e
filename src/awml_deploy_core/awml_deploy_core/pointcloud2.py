"""The sensor_msgs/PointCloud2 record layout, read as columns without ROS.

Works on any object with the message's attributes, in particular rclpy's message (``data`` is an
``array('B')``) and the one rosbags decodes (``data`` is a read-only ndarray). Columns are views
of the message's bytes; nothing is copied unless rows are padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import ParameterError, PointCloudError
from awml_deploy_core.pointcloud2_fields import (
    DATATYPE_NAMES,
    DATATYPES,
    PointCloud2Like,
    PointFieldLike,
)
from awml_deploy_core.points import PointColumns

_UINT32_MAX = 2**32 - 1


@dataclass(frozen=True)
class FieldMapping:
    """Which fields of a cloud are x, y, z [m] and intensity. Other fields are ignored.

    Raises:
        ParameterError: A name is empty or two columns share one.
    """

    x: str = "x"
    y: str = "y"
    z: str = "z"
    intensity: str | None = "intensity"
    """None never reads an intensity; a cloud without the field has none."""
    intensity_fallbacks: tuple[str, ...] = ()
    """Tried in order where ``intensity`` is absent, e.g. ``("i", "reflectivity")``."""

    def __post_init__(self) -> None:
        names = [self.x, self.y, self.z, *self.intensity_names]
        if not all(names) or len(set(names)) != len(names):
            raise ParameterError(
                "field mapping", "names are not distinct", got=names, expected="distinct non-empty names"
            )

    @property
    def intensity_names(self) -> tuple[str, ...]:
        """Names an intensity may have, in order of preference."""
        first = () if self.intensity is None else (self.intensity,)
        return first + self.intensity_fallbacks

    def choose(self, available: Sequence[str], subject: str) -> dict[str, str]:
        """Field name of every column (x, y, z and, where there is one, intensity).

        Raises:
            PointCloudError: x, y or z is not among ``available``, or a chosen name is there twice.
        """
        chosen = {"x": self.x, "y": self.y, "z": self.z}
        missing = [name for name in chosen.values() if name not in available]
        if missing:
            raise PointCloudError(
                subject,
                f"no field {', '.join(missing)}",
                got=f"fields {', '.join(available) or 'none'}",
                expected=", ".join(chosen.values()),
                hint="Name the cloud's own fields in the field mapping.",
            )
        intensity = next((name for name in self.intensity_names if name in available), None)
        if intensity is not None:
            chosen["intensity"] = intensity
        for name in chosen.values():
            if available.count(name) > 1:
                raise PointCloudError(
                    subject, f"duplicate field {name}", got=f"fields {', '.join(available)}"
                )
        return chosen


DEFAULT_MAPPING = FieldMapping()


@dataclass(frozen=True)
class ColumnLayout:
    """Where one column lies in a point record."""

    offset: int
    dtype: str
    """numpy dtype with byte order, e.g. ``<f4``."""


@dataclass(frozen=True)
class CloudLayout:
    """Validated record layout of a cloud; hashable, equal for clouds laid out alike."""

    height: int
    width: int
    point_step: int
    """Bytes from one point to the next."""
    row_step: int
    """Bytes from one row to the next."""
    x: ColumnLayout
    y: ColumnLayout
    z: ColumnLayout
    intensity: ColumnLayout | None

    @property
    def num_points(self) -> int:
        return self.height * self.width

    @property
    def data_size(self) -> int:
        """Bytes the data must have."""
        return self.height * self.row_step


def layout_of(message: PointCloud2Like, mapping: FieldMapping = DEFAULT_MAPPING) -> CloudLayout:
    """Parse and validate the layout of a cloud, without looking at its data.

    A cloud of no points is valid whatever its fields are. Unmapped fields must still have a known
    datatype and lie within the point.

    Raises:
        PointCloudError: The layout contradicts itself or lacks x, y or z.
    """
    height, width, point_step, row_step = (
        _uint32(getattr(message, name), name) for name in ("height", "width", "point_step", "row_step")
    )
    if height * width == 0:
        return _empty_layout(height, width, point_step, mapping)
    fields = message.fields
    for field in fields:
        _check_field(field, point_step)
    _check_rows(width, point_step, row_step)
    names = [field.name for field in fields]
    order = ">" if message.is_bigendian else "<"
    chosen = mapping.choose(names, "fields")

    def column(name: str) -> ColumnLayout:
        field = fields[names.index(name)]
        if field.count != 1:
            raise PointCloudError(
                f"field {name}", "not a single value", got=f"count {field.count}", expected="count 1"
            )
        return ColumnLayout(int(field.offset), order + DATATYPES[field.datatype])

    return CloudLayout(
        height,
        width,
        point_step,
        row_step,
        column(chosen["x"]),
        column(chosen["y"]),
        column(chosen["z"]),
        column(chosen["intensity"]) if "intensity" in chosen else None,
    )


def columns(layout: CloudLayout, data: Any) -> PointColumns:
    """Columns [N] of a cloud, row by row, as read-only views of ``data``.

    ``data`` is any C-contiguous buffer and must outlive the columns. A cloud of several rows with
    padding between them is the one case that copies: a strided 1-D view cannot skip the padding,
    so each column is gathered once.

    Raises:
        PointCloudError: ``data`` is not a buffer or has not ``layout.data_size`` bytes.
    """
    raw = _bytes_of(data)
    if raw.size != layout.data_size:
        raise PointCloudError(
            "data",
            "wrong length",
            got=f"{raw.size} bytes",
            expected=f"{layout.data_size} bytes (height {layout.height} x row_step {layout.row_step})",
            hint="The publisher truncates the cloud or fills height, width or row_step wrongly.",
        )
    intensity = None if layout.intensity is None else _column(layout, layout.intensity, raw)
    return PointColumns(
        _column(layout, layout.x, raw),
        _column(layout, layout.y, raw),
        _column(layout, layout.z, raw),
        intensity,
    )


def columns_of(message: PointCloud2Like, mapping: FieldMapping = DEFAULT_MAPPING) -> PointColumns:
    """Columns of a message: :func:`layout_of`, then :func:`columns`.

    Raises:
        PointCloudError: The message is malformed.
    """
    return columns(layout_of(message, mapping), message.data)


def _uint32(value: Any, name: str) -> int:
    if not isinstance(value, int | np.integer) or not 0 <= value <= _UINT32_MAX:
        raise PointCloudError(name, "out of range", got=value, expected=f"0..{_UINT32_MAX}")
    return int(value)


def _check_field(field: PointFieldLike, point_step: int) -> None:
    code = DATATYPES.get(field.datatype)
    if code is None:
        raise PointCloudError(
            f"field {field.name}", "unknown datatype", got=field.datatype, expected=DATATYPE_NAMES
        )
    offset = _uint32(field.offset, f"field {field.name} offset")
    end = offset + int(code[1]) * _uint32(field.count, f"field {field.name} count")
    if end > point_step:
        raise PointCloudError(
            "point_step",
            f"too small for field {field.name}",
            got=point_step,
            expected=f"at least {end} (offset {offset}, {field.count} x {int(code[1])} bytes)",
        )


def _check_rows(width: int, point_step: int, row_step: int) -> None:
    row = width * point_step
    if row > _UINT32_MAX:
        raise PointCloudError(
            "row_step",
            "size of a row overflows 32 bits",
            got=f"width {width} x point_step {point_step} = {row} bytes",
            expected=f"at most {_UINT32_MAX} bytes",
        )
    if row_step < row:
        raise PointCloudError(
            "row_step",
            "smaller than a row",
            got=row_step,
            expected=f"at least {row} (width {width} x point_step {point_step})",
        )


def _empty_layout(height: int, width: int, point_step: int, mapping: FieldMapping) -> CloudLayout:
    column = ColumnLayout(0, "<f4")
    return CloudLayout(
        height, width, point_step, 0, column, column, column, column if mapping.intensity_names else None
    )


def _bytes_of(data: Any) -> npt.NDArray[np.uint8]:
    try:
        # numpy refuses an empty buffer.
        raw = np.frombuffer(data, np.uint8) if len(data) else np.zeros(0, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise PointCloudError(
            "data",
            "not a contiguous byte buffer",
            got=type(data).__name__,
            expected="array('B'), bytes or uint8",
        ) from error
    return raw


def _column(layout: CloudLayout, column: ColumnLayout, raw: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    if not layout.num_points:
        return np.zeros(0, column.dtype)
    shape, strides = (layout.height, layout.width), (layout.row_step, layout.point_step)
    view: npt.NDArray[Any] = np.ndarray(shape, column.dtype, raw, column.offset, strides).reshape(-1)
    view.flags.writeable = False
    return view
