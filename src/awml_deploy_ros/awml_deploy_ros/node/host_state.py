"""The state of host, process and GPUs now. This module knows no ROS.

Whatever cannot be read is left out or says why: evidence of a machine in trouble is still evidence.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from awml_deploy_core.errors import DeviceError
from awml_deploy_core.runtime.cuda.nvidia_smi import query_gpus

GPU_FIELDS = (
    "index",
    "name",
    "uuid",
    "driver_version",
    "pstate",
    "temperature.gpu",
    "power.draw",
    "power.limit",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "utilization.gpu",
    "memory.used",
    "memory.total",
    "clocks_throttle_reasons.active",
    "clocks_throttle_reasons.hw_slowdown",
    "clocks_throttle_reasons.sw_thermal_slowdown",
    "clocks_throttle_reasons.sw_power_cap",
    "ecc.errors.uncorrected.volatile.total",
)
"""What nvidia-smi is asked for; units are its own: degrees Celsius, W, MHz, %, MiB."""


def gpu_state() -> dict[str, Any]:
    """``gpus``, one mapping each by :data:`GPU_FIELDS`, or why there is none."""
    try:
        return {"gpus": query_gpus(GPU_FIELDS)}
    except DeviceError as error:
        return {"gpus": [], "problem": str(error)}


def host_state() -> dict[str, Any]:
    """Processor, memory, temperatures, load and disk of the host, and what this process uses."""
    return {
        "time": time.time(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "cpu_model": _first("/proc/cpuinfo", "model name"),
        "cpu_mhz": [float(value) for value in _all("/proc/cpuinfo", "cpu MHz")],
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load": list(os.getloadavg()),
        "uptime_s": _number("/proc/uptime"),
        "memory_kb": {
            name: _first("/proc/meminfo", name) for name in ("MemTotal", "MemAvailable", "SwapFree")
        },
        "pressure": {name: _text(f"/proc/pressure/{name}") for name in ("cpu", "memory", "io")},
        "temperatures_c": _temperatures(),
        "shared_memory": _usage("/dev/shm"),
        "process": _process(),
    }


def process_figures() -> dict[str, int]:
    """Resident memory [kB], threads and open descriptors of this process."""
    with suppress(OSError, ValueError):
        return {
            "resident_kb": int(_first("/proc/self/status", "VmRSS").split()[0]),
            "threads": int(_first("/proc/self/status", "Threads")),
            "descriptors": len(os.listdir("/proc/self/fd")),
        }
    return {}


def _process() -> Mapping[str, Any]:
    names = ("VmPeak", "VmRSS", "Threads", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
    return {
        "pid": os.getpid(),
        **{name: _first("/proc/self/status", name) for name in names},
        "cpu_s": time.process_time(),
        **process_figures(),
    }


def _temperatures() -> dict[str, float]:
    found = {}
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*")):
        with suppress(OSError, ValueError):
            kind = (zone / "type").read_text(encoding="ascii").strip()
            found[f"{zone.name} {kind}"] = int((zone / "temp").read_text(encoding="ascii")) / 1000
    return found


def _usage(path: str) -> dict[str, int]:
    with suppress(OSError):
        return dict(zip(("total", "used", "free"), shutil.disk_usage(path), strict=True))
    return {}


def _text(path: str) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return Path(path).read_text(encoding="utf-8").strip()
    return ""


def _number(path: str) -> float | None:
    words = _text(path).split()
    return float(words[0]) if words else None


def _all(path: str, name: str) -> list[str]:
    pairs = (line.partition(":") for line in _text(path).splitlines())
    return [value.strip() for key, _, value in pairs if key.strip() == name]


def _first(path: str, name: str) -> str:
    return next(iter(_all(path, name)), "")
