"""Pre-processing and scatter on the GPU: each as one CUDA graph, and their steps by events within it.

250,000 LiDAR-like points in Autoware's 16-byte records, from pinned memory, at the two grids that
Autoware's kernels were measured at. ``cold`` overwrites the GPU's cache before every frame, as the
network between two frames does. Needs a GPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import measure
import numpy as np

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.cuda import CudaContext, capture
from awml_deploy_core.runtime.cuda_driver import cuda_device
from awml_deploy_lab.simulation.points import lidar_like_points
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.frame_header import COUNTERS
from awml_extractors.centerpoint.device.scatter import DeviceScatter
from awml_extractors.centerpoint.device.voxelizer import DeviceVoxelizer
from awml_extractors.centerpoint.pillars import PillarCounts

POINTS = 250_000
ROUNDS = 300
WARM_UP = 20
FLUSH_BYTES = 256 << 20
GRIDS: dict[str, dict[str, Any]] = {
    "480": {},
    "1020": {
        "point_cloud_range": (-122.4, -122.4, -3.0, 122.4, 122.4, 5.0),
        "voxel_size": (0.24, 0.24, 8.0),
        "max_voxels": 96_000,
        "neck_strides": (0.5, 1.0, 2.0),
    },
}
Steps = Mapping[str, Callable[[int], None]]


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure every grid and dtype; milliseconds."""
    context = CudaContext(DeviceSpec("cuda", 0))
    cloud = lidar_like_points(POINTS)
    cases = [
        {"grid": grid, "dtype": dtype, **measure_case(context, changes, dtype, cloud, rounds)}
        for grid, changes in GRIDS.items()
        for dtype in ("float16", "float32")
    ]
    context.close()
    device = cuda_device(0)
    return {
        "benchmark": "device_pillars",
        "gpu": device and device.name,
        "points": POINTS,
        "rounds": rounds,
        "machine": measure.machine(),
        "cases": cases,
    }


def measure_case(
    context: CudaContext, changes: Mapping[str, Any], dtype: str, cloud: np.ndarray, rounds: int
) -> dict[str, Any]:
    """One model's pre-processing and scatter."""
    config = CenterPointConfig.model_validate(changes)
    voxelizer = DeviceVoxelizer(context, config, dtype=dtype)
    record = voxelizer.clouds.receive_into(len(cloud) * POINT_XYZIRC.itemsize).view(POINT_XYZIRC)
    for index, name in enumerate(("x", "y", "z", "intensity")):
        record[name] = cloud[:, index]
    columns = PointColumns(*(record[name] for name in ("x", "y", "z", "intensity")))
    scatter = DeviceScatter(context, config, dtype=dtype)
    rows = context.buffer((config.max_voxels, 1, config.num_pillar_features), dtype, fill=0)
    bound = scatter.bind(rows, voxelizer.coordinates, voxelizer.pillars)
    frame, stream = PointCloudFrame.single(columns), context.stream
    uploads = []
    for _ in range(WARM_UP):
        start = time.perf_counter()
        voxelizer.upload(stream, frame)
        context.synchronize()
        uploads.append(1e3 * (time.perf_counter() - start))
    scatter_steps = {"claim_cells": bound.claim.enqueue, "fill_canvas": bound.fill.enqueue}
    result = {
        "upload": measure.summary(uploads),
        "preprocess": measure_steps(context, voxelizer.steps, rounds),
        "scatter": measure_steps(context, scatter_steps, rounds),
    }
    counters = np.zeros(1, COUNTERS)
    context.download(counters, voxelizer.counters.address)
    context.synchronize()
    counts = voxelizer.counts(counters)
    return {"counts": counts.as_dict(), "megabytes": _megabytes(config, dtype, counts), **result}


def measure_steps(context: CudaContext, steps: Steps, rounds: int) -> dict[str, Any]:
    """A graph of all steps between two events, and one with an event behind every step."""
    stream = context.stream
    flush = context.buffer((FLUSH_BYTES,), np.uint8)
    first, last = context.create_event(), context.create_event()
    events = {name: context.create_event() for name in steps}
    begin = context.create_event()

    def plain(target: int) -> None:
        for step in steps.values():
            step(target)

    def with_events(target: int) -> None:
        context.record(begin, target, captured=True)
        for name, step in steps.items():
            step(target)
            context.record(events[name], target, captured=True)

    result: dict[str, Any] = {}
    whole, timed = (capture(context, stream, work) for work in (plain, with_events))
    for caches in ("warm", "cold"):
        totals: list[float] = []
        parts: dict[str, list[float]] = {name: [] for name in steps}
        for index in range(WARM_UP + rounds):
            for graph in (whole, timed):
                if caches == "cold":
                    context.fill(flush.address, index % 256, FLUSH_BYTES)
                context.record(first)
                graph.launch(stream)
                context.record(last)
                context.synchronize()
                if index >= WARM_UP and graph is whole:
                    totals.append(context.elapsed_ms(first, last))
            if index >= WARM_UP:
                before = begin
                for name, event in events.items():
                    parts[name].append(context.elapsed_ms(before, event))
                    before = event
        result[caches] = {
            "whole": measure.summary(totals),
            "steps_p50": {name: round(float(np.median(values)), 5) for name, values in parts.items()},
        }
    whole.close()
    timed.close()
    return result


def _megabytes(config: CenterPointConfig, dtype: str, counts: PillarCounts) -> dict[str, float]:
    """What has to be read and written at least, if every intermediate result stays in the cache."""
    size = np.dtype(dtype).itemsize
    features = counts.points_used * config.num_encoder_features * size
    points = counts.points_in * POINT_XYZIRC.itemsize
    canvas = counts.pillars * config.num_pillar_features * size
    return {"preprocess": (points + features) / 1e6, "scatter": 2 * canvas / 1e6}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--output", type=Path, help="JSON file; standard output if left out")
    arguments = parser.parse_args()
    measure.write_json(run(arguments.rounds), arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
