"""Versions of what decides results on this machine."""

from __future__ import annotations

import platform

from awml_deploy_core.packages import installed_versions
from awml_deploy_core.reporting.result import MachineRecord

PACKAGES = (
    "awml_deploy_core",
    "awml_extractors",
    "numpy",
    "numba",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnx",
    "onnxscript",
    "onnxslim",
    "torch",
    "tensorrt",
    "tensorrt-rtx-cu13-bindings",
)


def machine_record() -> MachineRecord:
    """Record of this machine."""
    return MachineRecord(
        python=platform.python_version(),
        platform=platform.platform(),
        packages=installed_versions(PACKAGES),
    )
