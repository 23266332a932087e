"""Records what a component's module makes of its known inputs."""

from __future__ import annotations

from pathlib import Path

from awml_deploy_core.artifacts.references import Reference, known_inputs, write_reference
from awml_deploy_core.components import ExportableComponent
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.runtime.pytorch_session import PytorchSession
from awml_deploy_core.runtime.session import SessionOptions


def record_reference(component: ExportableComponent, folder: Path) -> Path:
    """Run the module on the known inputs and keep its outputs in the bundle, for ``selftest``.

    Raises:
        InferenceError: The module fails on them.
        ArtifactError: The file cannot be written.
    """
    spec = component.spec
    inputs = known_inputs(spec)
    where = component.sample_inputs[0].device if component.sample_inputs else None
    device = DeviceSpec.parse(str(where)) if where is not None else CPU
    session = PytorchSession(spec, device, component.module, SessionOptions())
    return write_reference(folder, spec.name, Reference.of(spec, inputs, session.run(inputs)))
