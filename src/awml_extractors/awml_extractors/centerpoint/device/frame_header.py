"""What varies from frame to frame, as the kernels read it: the structures of ``frame.cuh``."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.points import Sweep
from awml_extractors.centerpoint.device.constants import FrameSizes
from awml_extractors.centerpoint.pillars import ROUNDS, PillarCounts

TYPES: dict[str, int] = {
    name: code for code, name in enumerate(("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"))
}
"""Codes of ``columns.cuh`` by numpy's kind and size."""
SWAPPED = 16
"""Added to the code for the byte order that is not the machine's."""

COUNTERS: np.dtype[np.void] = np.dtype(
    [
        (name, np.uint32)
        for name in (
            "finite",
            "in_range",
            "cells",
            "pillars",
            "truncated",
            "dropped_points",
            "list_end",
            "reserved",
        )
    ]
)
"""``Counters``."""
_SWEEP: np.dtype[np.void] = np.dtype(
    [
        ("bytes", np.uint64),
        ("step", np.uint32),
        ("offsets", np.uint32, 4),
        ("types", np.uint32),
        ("moved", np.uint32),
        ("time_lag", np.float32),
        ("matrix", np.float32, (3, 4)),
    ]
)
_SEGMENT: np.dtype[np.void] = np.dtype(
    [(name, np.uint32) for name in ("start", "sweep", "first", "stride")]
)

_HEAD_BYTES = struct.Struct(f"=II8x{COUNTERS.itemsize}s")
_SWEEP_BYTES = struct.Struct("=QI4IIIf48s")
_SEGMENT_BYTES = struct.Struct("=4I")
_NO_COUNTS, _NOT_MOVED = bytes(COUNTERS.itemsize), bytes(48)


@dataclass(frozen=True)
class CloudOnDevice:
    """Where the columns of a cloud lie on the device."""

    address: int
    step: int
    """Bytes from one point to the next."""
    offsets: tuple[int, int, int, int]
    """Of x, y, z, intensity from the address."""
    types: int
    """A code of :data:`TYPES` a byte, x lowest."""


def header_dtype(sizes: FrameSizes) -> np.dtype[np.void]:
    """``Frame``."""
    return np.dtype(
        [
            ("points", np.uint32),
            ("segments", np.uint32),
            ("reserved", np.uint32, 2),
            ("counters", COUNTERS),
            ("sweep", _SWEEP, sizes.max_sweeps),
            ("segment", _SEGMENT, sizes.max_segments),
        ]
    )


def offset_of(layout: np.dtype[np.void], field: str) -> int:
    """Bytes from the beginning of a structure to one of its fields."""
    fields: dict[str, Any] = dict(layout.fields or {})
    return int(fields[field][1])


class HeaderWriter:
    """Describes frames in memory that is laid out as :func:`header_dtype`.

    It packs bytes, because writing single fields of a structured array costs the host more than
    all else that it does for a frame.

    Args:
        header: [1], overwritten by every frame; behind what a frame uses, it keeps what was there.
        interleaved: Whether points are taken in rounds.
    """

    def __init__(self, header: npt.NDArray[Any], interleaved: bool) -> None:
        self._memory = memoryview(header.view(np.uint8).reshape(-1))
        self._sweeps, self._segments = (offset_of(header.dtype, name) for name in ("sweep", "segment"))
        self._segment_entries = header["segment"][0]
        self._rounds = ROUNDS if interleaved else 1

    def write(self, sweeps: Sequence[Sweep], clouds: Sequence[CloudOnDevice]) -> None:
        """Describe a frame, with all counters zero.

        Args:
            sweeps: Those of the frame; transforms and time lags are rounded to float32.
            clouds: Where their points are.
        """
        memory, at = self._memory, self._sweeps
        for sweep, cloud in zip(sweeps, clouds, strict=True):
            matrix, lag = sweep.transform, np.float32(sweep.time_lag)
            moved = matrix is not None
            rows = _NOT_MOVED if matrix is None else matrix[:3].astype(np.float32).tobytes()
            place = (cloud.address, cloud.step, *cloud.offsets, cloud.types)
            _SWEEP_BYTES.pack_into(memory, at, *place, moved, lag, rows)
            at += _SWEEP_BYTES.size
        lengths = [len(sweep.columns) for sweep in sweeps]
        segments = self._write_segments(lengths)
        _HEAD_BYTES.pack_into(memory, 0, sum(lengths), segments, _NO_COUNTS)

    def _write_segments(self, lengths: list[int]) -> int:
        if self._rounds > 1:
            return self._write_rounds(np.array(lengths, np.int64))
        start, at = 0, self._segments
        used = [(index, length) for index, length in enumerate(lengths) if length]
        for index, length in used:
            _SEGMENT_BYTES.pack_into(self._memory, at, start, index, 0, 1)
            start += length
            at += _SEGMENT_BYTES.size
        return len(used)

    def _write_rounds(self, lengths: npt.NDArray[np.int64]) -> int:
        rounds = self._rounds
        turn, sweep_of = (index.reshape(-1) for index in np.indices((rounds, len(lengths))))
        points = np.maximum(lengths[sweep_of] - turn + rounds - 1, 0) // rounds
        used = points > 0
        segments = self._segment_entries[: int(used.sum())]
        segments["start"] = (np.cumsum(points) - points)[used]
        segments["sweep"], segments["first"], segments["stride"] = sweep_of[used], turn[used], rounds
        return len(segments)


def counts_of(points_in: int, counters: npt.NDArray[Any]) -> PillarCounts:
    """The counts of a frame.

    Args:
        points_in: Points of the frame.
        counters: :data:`COUNTERS` as they came from the device.
    """
    value = dict(zip(COUNTERS.names or (), counters.item(), strict=True))
    return PillarCounts(
        points_in=points_in,
        points_finite=value["finite"],
        points_in_range=value["in_range"],
        points_used=value["in_range"] - value["truncated"] - value["dropped_points"],
        points_truncated=value["truncated"],
        points_dropped=value["dropped_points"],
        pillars=value["pillars"],
        pillars_dropped=value["cells"] - value["pillars"],
    )
