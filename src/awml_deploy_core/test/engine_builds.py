"""What tests of engines share: keys, records and subprocesses that build."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.runtime.cuda_driver import CudaDevice
from awml_deploy_core.runtime.trt.key import EngineKey, EngineTarget, Environment, this_platform
from awml_deploy_core.runtime.trt.library import TensorRTLibrary, find_library
from awml_deploy_core.runtime.trt.settings import ShapeRange

ADA = CudaDevice(0, "NVIDIA RTX 4090", "8.9", 128)
ORIN = CudaDevice(0, "Orin", "8.7", 16)

ENCODER = ComponentSpec(
    "encoder",
    "encoder.onnx",
    (TensorSpec("input_features", (DynamicAxis("num_voxels", 1, 100, 1000), 8, 9)),),
    (TensorSpec("pillar_features", (DynamicAxis("num_voxels", 1, 100, 1000), 1, 16)),),
)
"""As the fixture mlp_spec, for subprocesses."""


def rtx() -> TensorRTLibrary:
    """TensorRT-RTX, or skip."""
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT-RTX is not installed: pip install -r requirements/dev.txt")
    pytest.importorskip("onnx")
    return find_library("tensorrt_rtx")


def target(**changes: Any) -> EngineTarget:
    values = {
        "library": "tensorrt",
        "version": "10.13.2.6",
        "gpu": ADA.name,
        "compute_capability": ADA.compute_capability,
        "multiprocessors": ADA.multiprocessors,
        "platform": this_platform(),
    }
    return EngineTarget(**{**values, **changes})


def key(**changes: Any) -> EngineKey:
    values: dict[str, Any] = {
        "component": "encoder",
        "onnx_sha256": "a" * 64,
        "precision": "fp16",
        "profile": {"x": ShapeRange((1, 3), (64, 3), (100, 3))},
        "target": target(),
    }
    return EngineKey(**{**values, **changes})


def here(gpu: CudaDevice | None = ADA, version: str = "10.13.2.6") -> Environment:
    return Environment("tensorrt", version, gpu)


BUILDER = """
import sys, time
from pathlib import Path
from engine_builds import ENCODER
from awml_deploy_core.export.engine_plan import EngineSource
from awml_deploy_core.export.tensorrt_exporter import TensorRTExporter
import awml_deploy_core.files as files

folder, stop = Path(sys.argv[1]), sys.argv[2]

def reached(place):
    if place == stop:
        print("REACHED", flush=True)
        time.sleep(60)

replace = files.os.replace
def slow_replace(source, destination):
    name = str(destination)
    if name.endswith(".engine"):
        reached("engine")
    if name.endswith(".engine.json"):
        reached("record")
    replace(source, destination)
files.os.replace = slow_replace

exporter = TensorRTExporter(on_percent=lambda component, percent: reached("build"))
print("STARTED", flush=True)
artifact = exporter.export(EngineSource(ENCODER, folder / "encoder.onnx"), folder)
print("REUSED" if artifact.details["reused"] else "BUILT", flush=True)
"""


def start_builder(folder: Path, stop: str = "") -> subprocess.Popen[str]:
    """A process that builds the encoder's engine; ``stop`` is where it waits to be killed."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(folder), stop],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
