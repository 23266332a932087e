"""What this machine can do, and the command that would add what is missing."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from awml_deploy_core.config.preflight import EXPORT_PACKAGES, SIMPLIFIER
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import AwmlDeployError, MissingDependencyError
from awml_deploy_core.family import available_families, load_family
from awml_deploy_core.packages import installed_versions
from awml_deploy_core.runtime.cuda_driver import cuda_device_count
from awml_deploy_core.runtime.registry import available_backends, load_backend
from awml_deploy_core.runtime.trt.library import find_library

OLDEST_PYTHON = (3, 10)
_TENSORRT = "TensorRT"
RMW = "rmw_fastrtps_cpp"
_PACKAGES = ("onnxruntime", "torch", "onnx", "onnxscript", "onnxslim", "numba", "rosbags", "matplotlib")
_REQUIREMENTS = {"rosbags": "'rosbags>=0.11'", "torch": "'torch>=2.5'"}
_MESSAGES = ("sensor_msgs", "visualization_msgs", "diagnostic_msgs", "awml_deploy_msgs")
_PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Kilted reads the first, older distributions the second."""
_OPTIONAL_MESSAGES = ("autoware_perception_msgs", "vision_msgs")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for."""

    group: str
    name: str
    found: bool
    detail: str
    hint: str = ""
    """Command or step that would add it."""


@dataclass(frozen=True)
class Ability:
    """A job, and whether this machine can do it."""

    job: str
    possible: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """Everything found; truthy if a bundle can be run here."""

    findings: tuple[Finding, ...]
    abilities: tuple[Ability, ...]

    def __bool__(self) -> bool:
        return any(ability.job == "infer" and ability.possible for ability in self.abilities)

    def to_facts(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def diagnose() -> Diagnosis:
    """Look at Python, packages, model families, backends by device, the GPU and ROS 2."""
    findings = (
        _python(),
        *_packages(),
        _tensorrt(),
        *_families(),
        *_backends(),
        _gpu(),
        *_ros(),
    )
    return Diagnosis(findings, _abilities(findings))


def _python() -> Finding:
    found = sys.version_info >= OLDEST_PYTHON
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Finding(
        "python", "python", found, platform.python_version(), "" if found else f"Python {oldest}+"
    )


def _packages() -> list[Finding]:
    findings = []
    versions = installed_versions((*_PACKAGES, "onnxruntime-gpu"))
    for name in _PACKAGES:
        version = versions.get(name) or versions.get(f"{name}-gpu")
        hint = "" if version else f"pip install {_REQUIREMENTS.get(name, name)}"
        findings.append(Finding("package", name, version is not None, version or "not installed", hint))
    return findings


def _tensorrt() -> Finding:
    try:
        library = find_library()
    except MissingDependencyError as error:
        return Finding("package", _TENSORRT, False, "; ".join(error.problems), error.hint or "")
    return Finding("package", _TENSORRT, True, f"{library.name} {library.version}")


def _families() -> list[Finding]:
    names = available_families()
    if not names:
        return [Finding("model family", "any", False, "none installed", "pip install src/awml_extractors")]
    findings = []
    for name in names:
        try:
            load_family(name)
        except AwmlDeployError as error:
            findings.append(Finding("model family", name, False, str(error)))
        else:
            findings.append(Finding("model family", name, True, "installed"))
    return findings


def _backends() -> list[Finding]:
    devices = [CPU, *(DeviceSpec("cuda", index) for index in range(max(1, cuda_device_count())))]
    findings = []
    for name in available_backends():
        for device in devices:
            try:
                state = load_backend(name).availability(device)
            except AwmlDeployError as error:
                findings.append(Finding("backend", f"{name}:{device}", False, str(error)))
                continue
            findings.append(
                Finding("backend", f"{name}:{device}", state.available, state.detail, state.hint)
            )
    return findings


def _gpu() -> Finding:
    count = cuda_device_count()
    names = _gpu_names()
    if count:
        return Finding("gpu", "CUDA", True, ", ".join(names) or f"{count} device(s)")
    detail = "the CUDA driver offers no device"
    if names:
        detail = f"nvidia-smi shows {', '.join(names)}, but {detail}"
    return Finding("gpu", "CUDA", False, detail, "install the NVIDIA driver, or go on with the CPU")


def _gpu_names() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return (
        [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
    )


def _ros() -> list[Finding]:
    distro = os.environ.get("ROS_DISTRO", "")
    findings = [_module("ros", "rclpy", _ros_hint("rclpy", distro), distro)]
    rmw = os.environ.get("RMW_IMPLEMENTATION", RMW)
    installed = bool(installed_versions((f"ros-{rmw.replace('_', '-')}",))) or _in_ament_index(rmw)
    hint = "" if installed else _ros_hint(rmw, distro)
    findings.append(Finding("ros", rmw, installed, "installed" if installed else "not installed", hint))
    for name in (*_MESSAGES, *_OPTIONAL_MESSAGES):
        build = "colcon build --packages-select awml_deploy_msgs, then source install/setup.bash"
        own = name == "awml_deploy_msgs"
        findings.append(_module("ros", name, build if own else _ros_hint(name, distro), ""))
    return [*findings, _fastdds_profile()]


def _fastdds_profile() -> Finding:
    value, file = next(
        ((value, name) for name in _PROFILES if (value := os.environ.get(name))), ("", _PROFILES[0])
    )
    if value and os.path.isfile(value):
        return Finding("ros", "Fast DDS profile", True, value)
    problem = f"names {value}, which does not exist" if value else "is not set"
    return Finding(
        "ros",
        "Fast DDS profile",
        False,
        f"{file} {problem}: large clouds may be lost",
        "set it to config/fastdds_profile.xml in every process that publishes clouds",
    )


def _module(group: str, name: str, hint: str, detail: str) -> Finding:
    if importlib.util.find_spec(name) is None:
        return Finding(group, name, False, "not installed", hint)
    try:
        importlib.import_module(name)
    except (ImportError, OSError) as error:
        return Finding(group, name, False, f"cannot be imported: {error}", hint)
    return Finding(group, name, True, detail or "installed")


def _in_ament_index(package: str) -> bool:
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    return any(os.path.isdir(os.path.join(prefix, "share", package)) for prefix in prefixes)


def _ros_hint(package: str, distro: str) -> str:
    dashed = package.replace("_", "-")
    if distro:
        return f"sudo apt install ros-{distro}-{dashed}"
    if package in _OPTIONAL_MESSAGES:
        return f"build {package} in this workspace, or source one that has it"
    return f"source the setup.bash of a ROS 2 installation, or pip install ros-{dashed}"


def _abilities(findings: tuple[Finding, ...]) -> tuple[Ability, ...]:
    found = {finding.name for finding in findings if finding.found}
    has_family = any(finding.group == "model family" and finding.found for finding in findings)
    usable = [finding.name for finding in findings if finding.group == "backend" and finding.found]

    def ability(job: str, needs: dict[str, bool]) -> Ability:
        missing = tuple(name for name, there in needs.items() if not there)
        return Ability(job, not missing, missing)

    run = {"a model family": has_family, "a usable backend": bool(usable)}
    export = {name: name in found for name in (*EXPORT_PACKAGES, SIMPLIFIER)}
    rmw = os.environ.get("RMW_IMPLEMENTATION", RMW)
    messages = {name: name in found for name in ("rclpy", rmw, *_MESSAGES)}
    return (
        ability("infer", run),
        ability("export", {"a model family": has_family, **export}),
        ability("build TensorRT engines", {name: name in found for name in (_TENSORRT, "onnx")}),
        ability("verify", {**run, "pytorch:cpu": "pytorch:cpu" in usable, "two backends": len(usable) > 1}),
        ability("infer on a GPU", {"a backend on CUDA": any(":cuda" in name for name in usable)}),
        ability("run the ROS 2 node", {**run, **messages}),
    )
