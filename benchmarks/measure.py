"""Timing of tasks against each other in one run, and the facts of the machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("numpy", "numba", "onnxruntime", "torch", "spconv")
_FLUSH_BYTES = 64 << 20


def interleaved(
    tasks: Mapping[str, Callable[[], Any]], rounds: int, *, cold: bool = False, warm_up: int = 2
) -> dict[str, dict[str, list[float]]]:
    """Run every task once a round, in turn, and keep each one's times in milliseconds.

    Args:
        tasks: What to run, by name.
        rounds: Measured rounds.
        cold: Sweep the processor's caches before every task, as a network between two frames does.
        warm_up: Rounds before measuring.

    Returns:
        By task: ``wall`` and ``cpu``, the latter the time of the calling thread alone, which other
        programs on the machine disturb less.
    """
    sweep = np.zeros(_FLUSH_BYTES // 8)
    times: dict[str, dict[str, list[float]]] = {name: {"wall": [], "cpu": []} for name in tasks}
    for index in range(warm_up + rounds):
        for name, task in tasks.items():
            if cold:
                sweep += 1.0
            wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
            task()
            wall, cpu = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
            if index >= warm_up:
                times[name]["wall"].append(wall * 1e-6)
                times[name]["cpu"].append(cpu * 1e-6)
    return times


def summary(values: list[float]) -> dict[str, float]:
    """Percentiles of a list of milliseconds."""
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    figures = {"min": min(values), "p50": p50, "p95": p95, "p99": p99, "max": max(values)}
    return {name: round(float(value), 4) for name, value in figures.items()}


def ratio(slower: list[float], faster: list[float]) -> float:
    """Ratio of medians."""
    return round(float(np.median(slower) / np.median(faster)), 3)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "packages": versions,
    }


def under_load() -> bool:
    """Whether others keep the machine busy, so that times mean little; to be asked before measuring."""
    return os.getloadavg()[0] > 0.25 * (os.cpu_count() or 1)


def write_json(result: Mapping[str, Any], path: Path | None) -> None:
    """Print a result and, if asked for, write it."""
    text = json.dumps(result, indent=2)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    print(text)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
