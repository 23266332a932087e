"""From a torch module to an ONNX graph."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.components import ComponentSpec, ExportableComponent, TensorSpec
from awml_deploy_core.errors import ExportError
from awml_deploy_core.export.options import OnnxExportOptions
from awml_deploy_core.interrupts import interrupts_kept
from awml_deploy_core.runtime.pytorch_session import MODULE_ERRORS

if TYPE_CHECKING:
    import onnx
    import torch

MAX_BYTES = 2**31 - 1
"""What one protobuf message can hold."""

_DYNAMO_MIN_OPSET = 18
"""torch's dynamo exporter has no lower operator set; older ones are converted from it."""


@dataclass(frozen=True, eq=False)
class Captured:
    """A graph at the chosen opset."""

    model: onnx.ModelProto
    how: str
    """``dynamo`` or ``torchscript``."""
    failures: tuple[str, ...]
    """Why the ways that were tried before did not work, one clause each."""


def check_module(component: ExportableComponent) -> None:
    """Run the module on its sample inputs and compare everything with the spec.

    Raises:
        ExportError: The module is in training mode, fails, is too large for one ONNX file, or its
            inputs or outputs contradict the spec; every offending tensor is listed.
    """
    import torch

    spec, subject = component.spec, f"component {component.spec.name}"
    if component.module.training:
        raise ExportError(subject, "its module is in training mode", hint="Call eval() on the model.")
    size = sum(tensor.numel() * tensor.element_size() for tensor in component.module.state_dict().values())
    if size > MAX_BYTES:
        raise ExportError(
            subject,
            "is too large for one ONNX file",
            got=f"{size} bytes of weights",
            expected=f"<= {MAX_BYTES}",
        )
    _raise_mismatches(subject, "sample inputs", spec.inputs, component.sample_inputs)
    try:
        with torch.inference_mode():
            result = component.module(*component.sample_inputs)
    except MODULE_ERRORS as error:
        raise ExportError(subject, "its module fails on the sample inputs", got=error) from error
    outputs = (result,) if isinstance(result, torch.Tensor) else tuple(result)
    _raise_mismatches(subject, "outputs", spec.outputs, outputs)


def _raise_mismatches(
    subject: str, what: str, specs: tuple[TensorSpec, ...], values: tuple[Any, ...]
) -> None:
    import torch

    if len(specs) != len(values):
        problems = [
            f"{len(values)} tensors, expected {len(specs)}: {', '.join(spec.name for spec in specs)}"
        ]
    else:
        problems = []
        for spec, value in zip(specs, values, strict=True):
            if not isinstance(value, torch.Tensor):
                problems.append(f"{spec.name}: {type(value).__name__}, expected a tensor")
            elif reason := spec.mismatch(value.shape, str(value.dtype).removeprefix("torch.")):
                problems.append(f"{spec.name}: {reason}")
    if problems:
        raise ExportError(subject, f"its module's {what} do not match the spec", problems=problems)


def capture(component: ExportableComponent, options: OnnxExportOptions) -> Captured:
    """The component's graph at the chosen opset, by the first way that works.

    Raises:
        ExportError: No capture that the options allow succeeded; the reason of each is listed.
    """
    ways = {
        "auto": (("dynamo", _dynamo), ("torchscript", _torchscript)),
        "dynamo": (("dynamo", _dynamo),),
        "torchscript": (("torchscript", _torchscript),),
    }[options.graph_capture]
    problems: list[str] = []
    for name, export in ways:
        try:
            with interrupts_kept():
                model = export(component, options)
        except _capture_errors() as error:
            problems.append(f"{name}: {_reason(error)}")
            continue
        return Captured(model, name, tuple(problems))
    raise ExportError(
        f"component {component.spec.name}",
        f"cannot be exported at opset {options.opset_version}",
        problems=problems,
    )


def _reason(error: Exception) -> str:
    """The cause without the advice that torch wraps it in."""
    cause = error.__cause__ or error
    lines = str(cause).strip().splitlines()
    first = lines[0] if lines else ""
    return first if cause is error else f"{type(cause).__name__}: {first}"


def _capture_errors() -> tuple[type[Exception], ...]:
    from onnx.checker import ValidationError
    from onnx.version_converter import ConvertError

    return (*MODULE_ERRORS, ConvertError, ValidationError)


def _dynamo(component: ExportableComponent, options: OnnxExportOptions) -> onnx.ModelProto:
    import torch

    spec = component.spec
    # A graph can be dynamic along an axis of which only one length is used; torch wants a range.
    dims = {
        axis.name: torch.export.Dim(axis.name, min=axis.min, max=max(axis.max, axis.min + 1))
        for tensor in spec.inputs
        for axis in tensor.dynamic_axes.values()
    }
    program = torch.onnx.export(
        component.module,
        _widened(spec, component.sample_inputs),
        input_names=[tensor.name for tensor in spec.inputs],
        output_names=[tensor.name for tensor in spec.outputs],
        opset_version=max(options.opset_version, _DYNAMO_MIN_OPSET),
        dynamo=True,
        dynamic_shapes=tuple(
            {position: dims[axis.name] for position, axis in tensor.dynamic_axes.items()}
            for tensor in spec.inputs
        ),
        external_data=False,
        optimize=options.constant_folding,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = program.model_proto
    return _downgraded(model, options.opset_version) if options.opset_version < _DYNAMO_MIN_OPSET else model


def _downgraded(model: onnx.ModelProto, opset_version: int) -> onnx.ModelProto:
    from onnx import checker, version_converter

    for node in model.graph.node:
        # The converter would carry this attribute of the newer Reduce operators along; 0 is their
        # default and what the older ones do.
        kept = [a for a in node.attribute if not (a.name == "noop_with_empty_axes" and a.i == 0)]
        del node.attribute[:]
        node.attribute.extend(kept)
    converted = version_converter.convert_version(model, opset_version)
    checker.check_model(converted, full_check=True)
    return converted


def _torchscript(component: ExportableComponent, options: OnnxExportOptions) -> onnx.ModelProto:
    import onnx
    import torch

    spec = component.spec
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graph.onnx")
        torch.onnx.export(
            component.module,
            component.sample_inputs,
            path,
            input_names=[tensor.name for tensor in spec.inputs],
            output_names=[tensor.name for tensor in spec.outputs],
            opset_version=options.opset_version,
            dynamo=False,
            dynamic_axes={
                tensor.name: {position: axis.name for position, axis in tensor.dynamic_axes.items()}
                for tensor in (*spec.inputs, *spec.outputs)
                if tensor.dynamic_axes
            },
            do_constant_folding=options.constant_folding,
            verbose=False,
        )
        return onnx.load_model(path)


def _widened(spec: ComponentSpec, samples: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Samples with at least two entries along a dynamic axis: torch.export freezes length one."""
    widened = []
    for tensor, sample in zip(spec.inputs, samples, strict=True):
        for position in tensor.dynamic_axes:
            if sample.shape[position] == 1:
                sample = sample.repeat_interleave(2, dim=position)
        widened.append(sample)
    return tuple(widened)
