"""Whole frames on the GPU as a node runs them: host time from the points to the detections."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from gpu_sessions import null_sessions
from gpu_timing import statistics

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_core.runtime.cuda import CudaContext
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.pipeline import DeviceCenterPointPipeline
from awml_extractors.centerpoint.device.settings import DeviceSettings

_SLOWEST = 8
_LEAST, _SIZES = 0.8, 64
"""Frames have between 80 and 100 % of the points, in so many sizes."""


def without_network(
    config: CenterPointConfig, cloud: np.ndarray, frames: int, objects: int
) -> dict[str, Any]:
    """Frames of varying size with sessions that do nothing; points in pinned and in other memory."""
    found = {}
    for timed in (True, False):
        context = CudaContext(DeviceSpec("cuda"))
        settings = DeviceSettings(max_points=2 * len(cloud), max_sweeps=4, encoder_rows="full", timed=timed)
        sessions = null_sessions(context, config, objects)
        with DeviceCenterPointPipeline(config, sessions, {}, settings, context=context) as pipeline:
            pinned = pipeline.frame.voxelizer.clouds.receive_into(cloud.nbytes).view(np.float32)
            staged = pinned.reshape(cloud.shape)
            staged[:] = cloud
            name = "timed" if timed else "without events"
            found[f"pinned, {name}"] = run_frames(pipeline, staged, frames)
            if timed:
                found["pageable, timed"] = run_frames(pipeline, cloud, max(100, frames // 5))
                found["pinned, with a past sweep"] = run_frames(
                    pipeline, staged, max(100, frames // 5), past=cloud[: len(cloud) // 2]
                )
    return found


def with_network(
    config: CenterPointConfig, sessions: Mapping[str, Any], cloud: np.ndarray, frames: int
) -> dict[str, Any]:
    """Frames of varying size with real sessions, which the pipeline closes."""
    settings = DeviceSettings(max_points=2 * len(cloud), max_sweeps=4)
    # Random weights would make thousands of boxes, or none.
    options = {"decoder": "autoware", "default_score_threshold": 0.5}
    with DeviceCenterPointPipeline(config, sessions, options, settings) as pipeline:
        found = run_frames(pipeline, cloud, frames)
        return {**found, "graphs": pipeline.frame.graph_count, "encoder_rows": pipeline.frame.encoder_rows}


def run_frames(
    pipeline: DeviceCenterPointPipeline, cloud: np.ndarray, frames: int, past: np.ndarray | None = None
) -> dict[str, Any]:
    """Host and device time of frames whose number of points varies, and what a frame gave."""
    generator = np.random.default_rng(0)
    sizes = (len(cloud) * generator.uniform(_LEAST, 1.0, _SIZES)).astype(int)
    sizes[0] = len(cloud)
    pose = np.eye(4)
    pose[0, 3] = 0.5
    others = () if past is None else (Sweep(PointColumns.from_array(past), 0.1, pose),)
    clouds = [PointColumns.from_array(cloud[:size]) for size in sizes]
    pipeline.warm_up()
    for columns in clouds[:8]:
        pipeline.infer(PointCloudFrame((Sweep(columns), *others)))
    gc.collect()
    gc.freeze()
    host, device, stages, events = [], [], [], []
    for index in range(frames):
        sample = PointCloudFrame((Sweep(clouds[index % _SIZES]), *others))
        before = _host_events()
        start = time.perf_counter_ns()
        result = pipeline.infer(sample)
        host.append((time.perf_counter_ns() - start) * 1e-6)
        events.append(_host_events() - before)
        device.append(result.latencies.total_ms)
        stages.append(result.latencies.as_dict())
    gc.unfreeze()
    names = stages[0]
    return {
        "frames": frames,
        "points": [int(sizes.min()), int(sizes.max())],
        "counts_of_last": dict(result.counts),
        "host_ms": statistics(host),
        "device_ms": statistics(device) if names else None,
        "slowest": _slowest(host, device, stages, events),
        "stage_p50_ms": {name: round(float(np.median([s[name] for s in stages])), 5) for name in names},
    }


_HOST_EVENTS = ("page_faults", "waits", "preemptions", "collections")


def _host_events() -> np.ndarray:
    """What the operating system and Python have done to this process so far, by :data:`_HOST_EVENTS`."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    collections = sum(generation["collections"] for generation in gc.get_stats())
    return np.array((usage.ru_minflt + usage.ru_majflt, usage.ru_nvcsw, usage.ru_nivcsw, collections))


def _slowest(
    host: list[float], device: list[float], stages: list[dict[str, float]], events: list[np.ndarray]
) -> dict[str, Any]:
    """The slowest frames, with what happened in them, and how often that happened in all frames."""
    order = np.argsort(host)[::-1][:_SLOWEST]
    frames = [
        {
            "frame": int(index),
            "host_ms": round(host[index], 5),
            "device_ms": round(device[index], 5),
            **{name: round(value, 5) for name, value in stages[index].items()},
            **dict(zip(_HOST_EVENTS, events[index].tolist(), strict=True)),
        }
        for index in order
    ]
    totals = np.sum(events, axis=0).tolist()
    return {"in_all_frames": dict(zip(_HOST_EVENTS, totals, strict=True)), "frames": frames}
