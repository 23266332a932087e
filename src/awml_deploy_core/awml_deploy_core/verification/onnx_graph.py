"""Reads ONNX graphs, cuts them down to some of their tensors, and runs those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import ArtifactError, InferenceError, MissingDependencyError

if TYPE_CHECKING:
    import onnx


_MOST_SHOWN = 60
"""Characters of an attribute's value."""


@dataclass(frozen=True)
class GraphRun:
    """A graph and how to execute it."""

    path: Path
    provider: str = "CPUExecutionProvider"
    optimised: bool = False


def tensor_sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Bytes of the internal tensors whose shapes are fixed, by name."""
    from onnx import helper, shape_inference

    try:
        inferred = shape_inference.infer_shapes(model)
    except (shape_inference.InferenceError, ValueError):
        return {}
    sizes = {}
    for value in inferred.graph.value_info:
        kind = value.type.tensor_type
        if all(axis.HasField("dim_value") for axis in kind.shape.dim):
            width = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).itemsize
            sizes[value.name] = width * int(np.prod([axis.dim_value for axis in kind.shape.dim]))
    return sizes


def run_tensors(
    run: GraphRun, model: onnx.ModelProto, names: Sequence[str], inputs: Sequence[npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """Values of some tensors of a graph, running no more of it than they need.

    Args:
        run: How to execute it.
        model: The graph.
        names: Internal tensors or outputs.
        inputs: Values of the graph's inputs in their order.

    Raises:
        InferenceError: ONNX Runtime cannot load or run the part.
    """
    import onnxruntime

    part = _exposing(model, names)
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if run.optimised else levels.ORT_DISABLE_ALL
    options.log_severity_level = 4
    wanted = {value.name for value in part.graph.input}
    feed = {
        value.name: array
        for value, array in zip(_inputs(model), inputs, strict=True)
        if value.name in wanted
    }
    failures = _runtime_errors()
    try:
        session = onnxruntime.InferenceSession(
            part.SerializeToString(), options, providers=[run.provider], enable_fallback=0
        )
        values = session.run(list(names), feed)
    except failures as error:
        raise InferenceError(
            run.path, f"cannot be run on {run.provider} with its tensors exposed", got=error
        ) from error
    return dict(zip(names, values, strict=True))


def _runtime_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type)]
    return (*(kind for kind in own if issubclass(kind, Exception)), RuntimeError, ValueError)


def _exposing(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """The part of a model that the named tensors need, with them as outputs."""
    import onnx

    makers = {name: node for node in model.graph.node for name in node.output if name}
    needed: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in makers:
            pending += [value for value in _reads(makers[name]) if value]
    part = onnx.ModelProto()
    part.CopyFrom(model)
    graph = part.graph
    nodes = [node for node in graph.node if any(name in needed for name in node.output)]
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    values = [value for value in graph.input if value.name in needed]
    for kept, field in ((nodes, graph.node), (weights, graph.initializer), (values, graph.input)):
        del field[:]
        field.extend(kept)
    del part.graph.output[:]
    part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return part


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Tensors that a node takes, those inside its branches included."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in graph.node:
                yield from _reads(inner)


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def changed_weights(file: onnx.ModelProto, reference: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the weights that both graphs have with different values, in execution order."""
    from onnx import numpy_helper

    own = {tensor.name: tensor for tensor in file.graph.initializer}
    changed = []
    for tensor in reference.graph.initializer:
        other = own.get(tensor.name)
        if other is None:
            continue
        values = numpy_helper.to_array(other), numpy_helper.to_array(tensor)
        same_form = values[0].shape == values[1].shape and values[0].dtype == values[1].dtype
        # Compared as bytes, so that NaN equals itself.
        if not same_form or values[0].tobytes() != values[1].tobytes():
            changed.append(tensor.name)
    return tuple(changed)


def changed_nodes(file: onnx.ModelProto, reference: onnx.ModelProto) -> tuple[str, ...]:
    """How operators differ, one clause each, in the order of the file.

    Nodes are paired by their first output. Nothing is said of graphs that share less than half of
    these names: another exporter wrote them.
    """
    own, others = ({node.output[0]: node for node in model.graph.node} for model in (file, reference))
    shared = own.keys() & others.keys()
    if 2 * len(shared) < max(len(own), len(others)):
        return ()
    clauses = []
    for name, node in own.items():
        if name not in others:
            clauses.append(f"{_label(node)} is only in the file")
            continue
        other = others[name]
        if node.op_type != other.op_type:
            clauses.append(f"{name} is made by {node.op_type}, not by {other.op_type}")
        elif list(node.input) != list(other.input):
            pairs = [pair for pair in zip_longest(node.input, other.input) if pair[0] != pair[1]]
            taken, wanted_inputs = (", ".join(str(pair[side]) for pair in pairs) for side in (0, 1))
            clauses.append(f"{_label(node)} takes {taken}, not {wanted_inputs}")
        values, wanted = _attributes(node), _attributes(other)
        clauses += [
            f"{key} of {_label(node)} is {values.get(key)}, not {wanted.get(key)}"
            for key in sorted(values.keys() | wanted.keys())
            if node.op_type == other.op_type and values.get(key) != wanted.get(key)
        ]
    clauses += [
        f"{_label(node)} is missing in the file" for name, node in others.items() if name not in own
    ]
    return tuple(clauses)


def _label(node: onnx.NodeProto) -> str:
    return f"{node.op_type} {node.name}" if node.name else f"{node.op_type} of {node.output[0]}"


def _attributes(node: onnx.NodeProto) -> dict[str, str]:
    from onnx import helper

    return {item.name: str(helper.get_attribute_value(item))[:_MOST_SHOWN] for item in node.attribute}


def load_graph(path: Path) -> onnx.ModelProto:
    """Load a graph.

    Raises:
        ArtifactError: It is no readable ONNX file.
        MissingDependencyError: onnx is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingDependencyError("bisect", "needs onnx", got=error, hint="pip install onnx") from error
    try:
        return onnx.load(str(path))
    except (OSError, ValueError, DecodeError) as error:
        raise ArtifactError(path, "is no readable ONNX file", got=error) from error
