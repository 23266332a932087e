"""Which scenarios a verification runs: those configured, or what this machine allows."""

from __future__ import annotations

from collections.abc import Iterator

from awml_deploy_core.artifacts.manager import ONNXRUNTIME, PYTORCH
from awml_deploy_core.config.schema import DeployConfig
from awml_deploy_core.config.values import EndpointSection
from awml_deploy_core.config.verification import ScenarioSection
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.runtime.registry import available_backends, load_backend
from awml_deploy_core.runtime.trt.cache import FOLDER as ENGINES_FOLDER
from awml_deploy_core.runtime.trt.session import NAME as TENSORRT

DEVICES = ("cpu", "cuda:0")


def chosen_scenarios(config: DeployConfig) -> tuple[ScenarioSection, ...]:
    """The configured scenarios of the export mode, or without any the machine's own."""
    section = config.verification
    configured = (*section.scenarios, *section.scenarios_by_mode.get(config.export.mode, ()))
    if configured:
        return configured
    return machine_scenarios(
        has_checkpoint=config.checkpoint_path is not None,
        has_engines=config.export.builds_engines or (config.bundle / ENGINES_FOLDER).is_dir(),
    )


def machine_scenarios(*, has_checkpoint: bool, has_engines: bool = False) -> tuple[ScenarioSection, ...]:
    """The reference against every other backend and device that can run here.

    The reference is PyTorch on the CPU, which runs the trained model itself, or without a checkpoint
    ONNX Runtime on the CPU. ONNX Runtime on the CPU is always compared with PyTorch, so that a
    machine that lacks it says so instead of checking less. With nothing to compare, PyTorch stays the
    reference, and the missing checkpoint is the problem to report. TensorRT is compared where there are
    engines, or will be.
    """
    unusable = {name for name, has in ((PYTORCH, has_checkpoint), (TENSORRT, has_engines)) if not has}
    usable = [endpoint for endpoint in _usable() if endpoint.backend not in unusable]
    pytorch, onnx = (EndpointSection(backend=name) for name in (PYTORCH, ONNXRUNTIME))
    others = [endpoint for endpoint in usable if endpoint not in (pytorch, onnx)]
    if has_checkpoint or not others:
        return tuple(ScenarioSection(reference=pytorch, test=test) for test in (onnx, *others))
    return tuple(ScenarioSection(reference=onnx, test=test) for test in others)


def _usable() -> Iterator[EndpointSection]:
    for name in available_backends():
        for device in DEVICES:
            try:
                usable = bool(load_backend(name).availability(DeviceSpec.parse(device)))
            except AwmlDeployError:
                # A plug-in that cannot be loaded is a backend that this machine does not have.
                usable = False
            if usable:
                yield EndpointSection(backend=name, device=device)
