"""Tests and benchmarks of the frame on the GPU, in one call.

    python benchmarks/gpu_frame.py --json results.json          # everything
    python benchmarks/gpu_frame.py --quick --parts kernels frame  # under a minute, no network

Parts: ``tests`` (pytest, all tests that need a GPU), ``kernels`` (pre-processing, scatter, decoding and
suppression, each alone), ``frame`` (frames without a network, as a node runs them), ``networks`` (PyTorch
and ONNX Runtime where they run, alone and in a frame), ``sanitizer`` (compute-sanitizer over small frames).
A part that fails or cannot run is recorded with its reason, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_paths  # noqa: F401 - first, as it makes the packages importable
import measure
from gpu_kernels import image_postprocessing, postprocessing, preprocessing
from gpu_pipelines import with_network, without_network
from gpu_sessions import BACKENDS, network_sessions, network_times
from gpu_timing import GraphTimer, copy_bandwidth, gpu_record, host_calls, staging_times

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.runtime.cuda import CudaContext
from awml_deploy_lab.simulation.points import lidar_like_points
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.variants import parse_config

ROOT = Path(__file__).resolve().parents[1]
POINTS = 250_000
OBJECTS = {"480": 593, "1020": 802}
CANDIDATES = (500, 2000, 8000)
GRIDS = {"480": "autoware_base", "1020": "awml_2_6"}
TESTS = (
    "src/awml_deploy_core/test/runtime/cuda",
    *(
        f"src/awml_extractors/test/centerpoint/{name}"
        for name in (
            "test_device_pipeline.py",
            "test_device_graph.py",
            "test_device_voxelizer_cuda.py",
            "test_device_decoder_cuda.py",
            "test_cuda_parity.py",
        )
    ),
    "src/awml_extractors/test/yolox/test_yolox_device_pipeline.py",
    "src/awml_extractors/test/yolox/test_yolox_device_cuda.py",
)
QUICK_TESTS = TESTS[:3]
SANITIZED = (
    "src/awml_extractors/test/centerpoint/test_device_pipeline.py",
    "src/awml_extractors/test/yolox/test_yolox_device_pipeline.py",
)


class Run:
    """The chosen size of everything, and what came out."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self.rounds = 100 if quick else 500
        self.frames = 1_000 if quick else 10_000
        self.network_frames = 100 if quick else 1_000
        self.cloud = lidar_like_points(POINTS)

    def config(self, grid: str) -> CenterPointConfig:
        return parse_config({"variant": GRIDS[grid]})

    def tests(self) -> dict[str, Any]:
        """pytest over everything that needs a GPU."""
        return _pytest(QUICK_TESTS if self.quick else TESTS, [sys.executable])

    def sanitizer(self) -> dict[str, Any]:
        """compute-sanitizer over small frames; every tool has to be clean."""
        tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
        found = {}
        for check in ("memcheck", "racecheck", "initcheck") if not self.quick else ("memcheck",):
            command = [tool, "--tool", check, "--error-exitcode", "9", "--target-processes", "all"]
            found[check] = _pytest(SANITIZED, [*command, sys.executable], "-k", "gpu")
        return found

    def kernels(self) -> dict[str, Any]:
        """Kernels alone."""
        found: dict[str, Any] = {}
        for grid in GRIDS:
            context = CudaContext(DeviceSpec("cuda"))
            timer, config = GraphTimer(context, self.rounds), self.config(grid)
            found["copy"] = copy_bandwidth(context)
            found["staging_4mb_ms"] = staging_times(context)
            found["host_calls_us"] = host_calls(context)
            found[grid] = {
                dtype: preprocessing(context, timer, config, self.cloud, dtype)
                for dtype in ("float32", "float16")
            }
            found[grid]["decode_and_nms"] = postprocessing(context, timer, config, OBJECTS[grid])
            context.close()
            for dtype in ("float32", "float16"):
                speed = found[grid][dtype]["preprocess_gb_per_s"]["with_padding"]
                share = speed / found["copy"]["device_gb_per_s"]
                found[grid][dtype]["preprocess_share_of_copy_bandwidth"] = round(share, 3)
        context = CudaContext(DeviceSpec("cuda"))
        timer = GraphTimer(context, self.rounds)
        found["yolox"] = {
            f"{count} candidates": image_postprocessing(context, timer, count) for count in CANDIDATES
        }
        context.close()
        return found

    def frame(self) -> dict[str, Any]:
        """Frames without a network."""
        return {
            grid: without_network(self.config(grid), self.cloud, self.frames, OBJECTS[grid])
            for grid in GRIDS
        }

    def networks(self) -> dict[str, Any]:
        """Networks alone and in a frame; a backend that does not run says why."""
        found: dict[str, Any] = {}
        for grid in ("480",) if self.quick else GRIDS:
            config = self.config(grid)
            for key in BACKENDS if not self.quick else ("pytorch fp16", "onnxruntime fp16"):
                _progress(f"network {grid} {key}")
                try:
                    found[f"{grid}, {key}"] = self._network(config, key)
                except AwmlDeployError as error:
                    found[f"{grid}, {key}"] = {"skipped": str(error)}
        return found

    def _network(self, config: CenterPointConfig, key: str) -> dict[str, Any]:
        context = CudaContext(DeviceSpec("cuda"))
        timer = GraphTimer(context, self.rounds // 5)
        sessions = network_sessions(config, key)
        encoder, head = sessions.values()
        rows = config.voxel_capacity // 2
        found = {
            f"encoder, {rows} rows": network_times(context, timer, encoder, rows, self.rounds // 5),
            "backbone_head": network_times(context, timer, head, None, self.rounds // 5),
        }
        found["frame"] = with_network(config, sessions, self.cloud, self.network_frames)
        context.close()
        return found


def _pytest(paths: tuple[str, ...], python: list[str], *options: str) -> dict[str, Any]:
    present = [path for path in paths if (ROOT / path).exists()]
    command = [*python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *options, *present]
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    print(done.stdout[-6000:], done.stderr[-3000:], file=sys.stderr, flush=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return {"summary": lines[-1] if lines else "", "seconds": round(time.monotonic() - start, 1)}


def _write(result: dict[str, Any], path: Path | None) -> None:
    """After every part, so that one that is cut short costs none of the others."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _progress(text: str) -> None:
    print(f"[{datetime.datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)


def main() -> int:
    parts = ("tests", "kernels", "frame", "networks", "sanitizer")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, frames, tests and backends")
    parser.add_argument("--json", type=Path, help="where the result goes; printed otherwise")
    options = parser.parse_args()
    try:
        context = CudaContext(DeviceSpec("cuda"))
    except AwmlDeployError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    now = datetime.datetime.now(datetime.timezone.utc)
    result: dict[str, Any] = {
        "time": now.isoformat(timespec="seconds"),
        "quick": options.quick,
        "gpu": gpu_record(context),
        "machine": measure.machine(),
        "points": POINTS,
        "parts": {},
    }
    context.close()
    run, failed = Run(options.quick), False
    for name in options.parts:
        _progress(f"part {name}")
        task: Callable[[], dict[str, Any]] = getattr(run, name)
        start = time.monotonic()
        try:
            result["parts"][name] = task()
        except (AwmlDeployError, RuntimeError, ValueError, LookupError, TypeError, OSError) as error:
            # The other parts are still worth their time on the machine.
            traceback.print_exc()
            failed = True
            result["parts"][name] = {"failed": f"{type(error).__name__}: {error}"}
        result["parts"][name]["part_seconds"] = round(time.monotonic() - start, 1)
        _write(result, options.json)
    if options.json is None:
        print(json.dumps(result, indent=2))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
