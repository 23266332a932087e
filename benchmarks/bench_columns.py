"""PointCloud2 bytes to columns, against copying them as sensor_msgs_py's read_points_numpy does.

Both start from the same message and are timed in turn in one run. Two figures a cloud: until the
columns can be read, and until they are one contiguous float32 [N, 4] array.
"""

from __future__ import annotations

import argparse
import array
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured

from awml_deploy_core.pointcloud2 import columns_of
from awml_deploy_core.pointcloud2_fields import DATATYPES, POINT_XYZIRC, RecordField, fields_of
from awml_deploy_lab.simulation.points import lidar_like_points

POINTS = (120_000, 300_000)
ROUNDS = 30
COLUMNS = ("x", "y", "z", "intensity")
# The 48-byte record of a PCL-based driver: aligned, padded, with fields that nobody here reads.
WIDE = np.dtype(
    {
        "names": ["x", "y", "z", "intensity", "t", "reflectivity", "ring", "ambient", "range"],
        "formats": ["<f4", "<f4", "<f4", "<f4", "<u4", "<u2", "<u2", "<u2", "<u4"],
        "offsets": [0, 4, 8, 16, 20, 24, 26, 28, 32],
        "itemsize": 48,
    }
)


@dataclass(frozen=True)
class Message:
    """The attributes of rclpy's PointCloud2."""

    height: int
    width: int
    fields: tuple[RecordField, ...]
    point_step: int
    row_step: int
    data: array.array[int]
    is_bigendian: bool = False


def make_message(record: np.dtype[Any], points: int) -> Message:
    source = lidar_like_points(points)
    cloud = np.zeros(points, record)
    for i, name in enumerate(COLUMNS):
        cloud[name] = source[:, i]
    data = array.array("B", cloud.tobytes())
    return Message(1, points, fields_of(record), record.itemsize, record.itemsize * points, data)


def peer_copy(message: Message) -> np.ndarray:
    """Structured view of all fields, selection by name, one unstructured float32 copy."""
    record = np.dtype(
        {
            "names": [field.name for field in message.fields],
            "formats": ["<" + DATATYPES[field.datatype] for field in message.fields],
            "offsets": [field.offset for field in message.fields],
            "itemsize": message.point_step,
        }
    )
    points: np.ndarray = np.ndarray((message.width * message.height,), record, message.data)
    return structured_to_unstructured(points[list(COLUMNS)], dtype=np.float32)


def our_array(message: Message) -> np.ndarray:
    """Our columns, gathered as a consumer that needs one array would."""
    columns = columns_of(message)
    gathered = np.empty((len(columns), 4), np.float32)
    for i, name in enumerate(COLUMNS):
        gathered[:, i] = getattr(columns, name)
    return gathered


def medians_ms(tasks: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median wall time of each task, run in turn so that all see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(ROUNDS):
        for name, task in tasks.items():
            start = time.perf_counter_ns()
            task()
            times[name].append((time.perf_counter_ns() - start) * 1e-6)
    return {name: statistics.median(values) for name, values in times.items()}


def run() -> dict[str, Any]:
    """Measure every layout and size; times in milliseconds, ratios as peer over ours."""
    cases = []
    for layout, record in (("PointXYZIRC", POINT_XYZIRC), ("wide", WIDE)):
        for points in POINTS:
            message = make_message(record, points)
            if not np.array_equal(our_array(message), peer_copy(message)):
                raise SystemExit(f"{layout} {points}: the two disagree")
            columns = columns_of(message)
            raw = np.frombuffer(message.data, np.uint8)
            found = medians_ms(
                {
                    "columns": lambda: columns_of(message),  # noqa: B023
                    "array": lambda: our_array(message),  # noqa: B023
                    "peer": lambda: peer_copy(message),  # noqa: B023
                }
            )
            cases.append(
                {
                    "layout": layout,
                    "point_step": message.point_step,
                    "points": points,
                    "zero_copy": all(np.shares_memory(getattr(columns, name), raw) for name in COLUMNS),
                    "columns_ms": found["columns"],
                    "contiguous_ms": found["array"],
                    "peer_contiguous_ms": found["peer"],
                    "ratio_columns": found["peer"] / found["columns"],
                    "ratio_contiguous": found["peer"] / found["array"],
                }
            )
    machine = {"machine": platform.machine(), "python": platform.python_version(), "numpy": np.__version__}
    return {"benchmark": "columns", "rounds": ROUNDS, "environment": machine, "cases": cases}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    text = json.dumps(run(), indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
