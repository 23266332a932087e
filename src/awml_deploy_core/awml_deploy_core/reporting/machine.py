"""Versions of what decides results on this machine."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

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


def package_versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of the installed ones among the named distributions, without importing them."""
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def machine_record() -> MachineRecord:
    """Record of this machine."""
    return MachineRecord(
        python=platform.python_version(), platform=platform.platform(), packages=package_versions()
    )
