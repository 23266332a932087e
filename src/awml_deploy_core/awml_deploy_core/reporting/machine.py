"""Versions of what decides results on this machine."""

from __future__ import annotations

import platform

from awml_deploy_core.family import GROUP as FAMILIES
from awml_deploy_core.packages import installed_versions, plugin_versions
from awml_deploy_core.reporting.result import MachineRecord
from awml_deploy_core.runtime.registry import GROUP as BACKENDS

PACKAGES = (
    "awml_deploy_core",
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
        packages={**plugin_versions(BACKENDS), **plugin_versions(FAMILIES), **installed_versions(PACKAGES)},
    )
