"""What varies from frame to frame, as the kernels read it: the structures of ``frame.cuh``."""

from __future__ import annotations

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


def write_header(
    header: npt.NDArray[Any], sweeps: Sequence[Sweep], clouds: Sequence[CloudOnDevice], interleaved: bool
) -> None:
    """Describe a frame, with all counters zero.

    Args:
        header: [1] of :func:`header_dtype`, overwritten.
        sweeps: Those of the frame; transforms and time lags are rounded to float32.
        clouds: Where their points are.
        interleaved: Whether points are taken in rounds.
    """
    lengths = np.array([len(sweep.columns) for sweep in sweeps], np.int64)
    header["points"], header["counters"] = lengths.sum(), 0
    for entry, sweep, cloud in zip(header["sweep"][0], sweeps, clouds, strict=False):
        entry["bytes"], entry["step"] = cloud.address, cloud.step
        entry["offsets"], entry["types"] = cloud.offsets, cloud.types
        entry["time_lag"], entry["moved"] = sweep.time_lag, sweep.transform is not None
        if sweep.transform is not None:
            entry["matrix"] = sweep.transform[:3]
    rounds = ROUNDS if interleaved else 1
    turn, sweep_of = (index.reshape(-1) for index in np.indices((rounds, len(sweeps))))
    points = np.maximum(lengths[sweep_of] - turn + rounds - 1, 0) // rounds
    used = points > 0
    segments = header["segment"][0][: int(used.sum())]
    segments["start"] = (np.cumsum(points) - points)[used]
    segments["sweep"], segments["first"], segments["stride"] = sweep_of[used], turn[used], rounds
    header["segments"] = len(segments)


def counts_of(points_in: int, counters: npt.NDArray[Any]) -> PillarCounts:
    """The counts of a frame.

    Args:
        points_in: Points of the frame.
        counters: :data:`COUNTERS` as they came from the device.
    """
    value = {name: int(counters[name]) for name in COUNTERS.names or ()}
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
