"""The bytes of a cloud whose columns are views of one buffer of records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_extractors.centerpoint.device.frame_header import SWAPPED, TYPES

_MOST_STEP = 64
"""Bytes of a record that are sent as they are; wider ones are cheaper to gather than to send."""


@dataclass(frozen=True)
class RecordSpan:
    """A range of host memory that has all columns of a cloud."""

    address: int
    size: int
    step: int
    offsets: tuple[int, int, int, int]
    types: int


def span_of(columns: Mapping[str, npt.NDArray[Any]]) -> RecordSpan | None:
    """The range that the columns lie in, or None if they have to be gathered.

    Columns are views of one buffer exactly if each steps alike and all begin within one step: two
    allocations cannot interleave.

    Args:
        columns: x, y, z and maybe intensity, all of one length.
    """
    arrays = list(columns.values())
    count, step = len(arrays[0]), arrays[0].strides[0]
    if count < 2 or not 0 < step <= _MOST_STEP:
        return None
    starts, last, types = [], 0, 0
    for index, array in enumerate(arrays):
        code = _type_code(array.dtype)
        if code is None or array.strides[0] != step:
            return None
        start = int(array.__array_interface__["data"][0])
        starts.append(start)
        last = max(last, start + array.itemsize)
        types |= code << (8 * index)
    first = min(starts)
    if last - first > step:
        return None
    x, y, z, intensity = *(start - first for start in starts), *(0,) * (4 - len(starts))
    return RecordSpan(first, (count - 1) * step + last - first, step, (x, y, z, intensity), types)


def packed_layout(columns: int) -> tuple[int, tuple[int, int, int, int], int]:
    """Step, offsets and types of records of native float32."""
    types = sum(TYPES["f4"] << (8 * index) for index in range(columns))
    return 4 * columns, (0, 4, 8, 12 if columns > 3 else 0), types


@cache
def _type_code(dtype: np.dtype[Any]) -> int | None:
    code = TYPES.get(f"{dtype.kind}{dtype.itemsize}")
    return code if code is None or dtype.isnative else code + SWAPPED
