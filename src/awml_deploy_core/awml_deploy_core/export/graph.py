"""Simplifies, cleans and checks an exported ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.errors import ExportError
from awml_deploy_core.runtime.binding import GraphTensor, incompatibility

if TYPE_CHECKING:
    import onnx

METADATA_PREFIX = "awml_deploy."


def simplify(model: onnx.ModelProto, spec: ComponentSpec) -> onnx.ModelProto:
    """Fold batch normalisation and constants, remove redundant nodes.

    Raises:
        ExportError: onnxslim fails on the graph.
    """
    import onnxslim

    try:
        slimmed: onnx.ModelProto = onnxslim.slim(model)
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ExportError(
            f"component {spec.name}",
            "onnxslim cannot simplify it",
            got=error,
            hint="Export with simplify off.",
        ) from error
    return slimmed


def clean(model: onnx.ModelProto, spec: ComponentSpec) -> None:
    """Remove what differs between machines or runs: stack traces, source paths, doc strings.

    The graph takes the component's name and the lowest IR version its opset allows, which older
    runtimes can read.
    """
    from onnx import helper

    model.doc_string = ""
    model.ir_version = helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    del model.metadata_props[:]
    for graph in _graphs(model.graph):
        graph.doc_string = ""
        del graph.value_info[:]
        del graph.metadata_props[:]
        for item in (*graph.node, *graph.input, *graph.output, *graph.initializer):
            item.doc_string = ""
            del item.metadata_props[:]
    model.graph.name = spec.name


def _graphs(graph: onnx.GraphProto) -> Iterable[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for nested in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _graphs(nested)


def check(model: onnx.ModelProto, spec: ComponentSpec, opset_version: int) -> onnx.ModelProto:
    """Check the graph against the spec and ONNX's own rules; return it with inferred shapes.

    Raises:
        ExportError: Opset, names, order, dtypes or shapes differ from the spec, the graph is
            invalid, or shape inference contradicts the spec; every offending tensor is listed.
    """
    import onnx
    from onnx import checker, shape_inference

    subject = f"component {spec.name}"
    problems = [
        *_opset_problems(model, opset_version),
        *_tensor_problems("input", spec.inputs, [graph_tensor(value) for value in model.graph.input]),
        *_tensor_problems("output", spec.outputs, [graph_tensor(value) for value in model.graph.output]),
        *(
            f"weights of {tensor.name} lie outside the file"
            for tensor in model.graph.initializer
            if tensor.data_location == onnx.TensorProto.EXTERNAL
        ),
    ]
    if problems:
        raise ExportError(subject, "the exported graph does not match the spec", problems=problems)
    for value, tensor in zip(
        (*model.graph.input, *model.graph.output), (*spec.inputs, *spec.outputs), strict=True
    ):
        _declare_shape(value, tensor)
    try:
        inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        checker.check_model(inferred, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError, ValueError) as error:
        raise ExportError(subject, "the exported graph is invalid", got=error) from error
    return inferred


def graph_tensor(value: onnx.ValueInfoProto) -> GraphTensor:
    """Name, dtype and shape of a graph input or output."""
    from onnx import helper

    kind = value.type.tensor_type
    shape = tuple(
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None for axis in kind.shape.dim
    )
    return GraphTensor(value.name, helper.tensor_dtype_to_np_dtype(kind.elem_type).name, shape)


def write_metadata(model: onnx.ModelProto, spec: ComponentSpec, extra: Mapping[str, str]) -> None:
    """Record the component, its spec, the opset and ``extra`` in the file's metadata properties."""
    from onnx import helper

    own = {
        f"{METADATA_PREFIX}component": spec.name,
        f"{METADATA_PREFIX}opset": str(opset_of(model)),
        f"{METADATA_PREFIX}spec": TypeAdapter(ComponentSpec).dump_json(spec).decode(),
    }
    helper.set_model_props(model, dict(sorted({**extra, **own}.items())))


def opset_of(model: onnx.ModelProto) -> int | None:
    """Version of ONNX's own operator set in a model."""
    return next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), None)


def operator_counts(model: onnx.ModelProto) -> dict[str, int]:
    """Number of nodes by operator, sorted by name."""
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return dict(sorted(counts.items()))


def _opset_problems(model: onnx.ModelProto, opset_version: int) -> list[str]:
    actual = opset_of(model)
    problems = [] if actual == opset_version else [f"opset {actual}, expected {opset_version}"]
    custom = sorted({node.domain for node in model.graph.node} - {"", "ai.onnx"})
    return problems + [f"operators of domain {domain} are not plain ONNX" for domain in custom]


def _tensor_problems(kind: str, specs: Sequence[TensorSpec], tensors: Sequence[GraphTensor]) -> list[str]:
    expected, actual = [spec.name for spec in specs], [tensor.name for tensor in tensors]
    if expected != actual:
        return [f"{kind}s {', '.join(actual) or 'none'}, expected {', '.join(expected)}"]
    return [
        f"{kind} {tensor.name}: {reason}"
        for spec, tensor in zip(specs, tensors, strict=True)
        if (reason := incompatibility(spec, tensor))
    ]


def _declare_shape(value: onnx.ValueInfoProto, spec: TensorSpec) -> None:
    dims: Any = value.type.tensor_type.shape.dim
    for dim, axis in zip(dims, spec.shape, strict=True):
        if isinstance(axis, DynamicAxis):
            dim.dim_param = axis.name
        else:
            dim.dim_value = axis
