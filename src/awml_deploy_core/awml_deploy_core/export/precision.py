"""Precision carried by the ONNX graph, which a strongly typed network follows."""

from __future__ import annotations

import fnmatch
import logging
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from awml_deploy_core.errors import ExportError, MissingDependencyError
from awml_deploy_core.runtime.trt.settings import PrecisionPolicy
from awml_deploy_core.validation import suggest

if TYPE_CHECKING:
    import onnx

_LOG = logging.getLogger(__name__)
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
PRECISION_KEY = "awml_deploy.precision"
"""Metadata property of a graph that carries its precision itself, casts or Q/DQ nodes included."""


@dataclass(frozen=True)
class PrecisionChange:
    """What a policy did to a graph."""

    fp32_nodes: tuple[str, ...] = ()
    """Nodes that stayed FP32 because the policy names them."""
    casts: int = 0
    """Cast nodes of the result."""
    overflows: int = 0
    """Weights beyond what FP16 holds, which took its largest value."""


def precision_problems(model: onnx.ModelProto, policy: PrecisionPolicy) -> list[str]:
    """Why a policy does not fit a graph, one clause each; empty if it does."""
    quantizers = sum(node.op_type in _QUANTIZERS for node in model.graph.node)
    problems = []
    # A component that a precision study left in FP32 belongs to a bundle that is quantised elsewhere.
    if policy.precision == "int8" and not quantizers and carried_precision(model) is None:
        problems.append(
            "precision int8: the graph has no QuantizeLinear and DequantizeLinear nodes; quantise it "
            "first, e.g. with awml-deploy precision, or choose fp16"
        )
    if policy.precision != "int8" and quantizers:
        problems.append(
            f"precision {policy.precision}: the graph has {quantizers} QuantizeLinear and DequantizeLinear "
            "nodes; choose int8"
        )
    names = [node.name for node in model.graph.node]
    problems += [
        f"fp32_nodes: no node is called {pattern!r}{suggest(pattern, names)}"
        for pattern in policy.fp32_nodes
        if not fnmatch.filter(names, pattern)
    ]
    return problems


def carried_precision(model: onnx.ModelProto) -> str | None:
    """The precision that a graph says it carries; None for one that was exported as it was trained."""
    return next((entry.value for entry in model.metadata_props if entry.key == PRECISION_KEY), None)


def apply_precision(
    model: onnx.ModelProto, policy: PrecisionPolicy, subject: str
) -> tuple[onnx.ModelProto, PrecisionChange]:
    """The graph in the policy's precision; inputs and outputs keep their types.

    A graph that carries its precision already is taken as it is.

    Args:
        model: The graph; not changed.
        policy: One without problems for this graph.
        subject: What the graph is, for errors.

    Raises:
        ExportError: The graph cannot be converted.
        MissingDependencyError: ONNX Runtime, which has the conversion, is not installed.
    """
    if policy.precision != "fp16" or carried_precision(model) is not None:
        return model, PrecisionChange()
    named = _unique_names(model)
    kept = [name for name in named if any(fnmatch.fnmatch(name, p) for p in policy.fp32_nodes)]
    converted = cast_to_fp16(model, kept, subject)
    casts = sum(node.op_type == "Cast" for node in converted.graph.node)
    return converted, PrecisionChange(tuple(kept), casts, _overflows(model))


def cast_to_fp16(model: onnx.ModelProto, kept: list[str], subject: str) -> onnx.ModelProto:
    """A copy in FP16 but for its inputs, its outputs and the nodes in ``kept``.

    The casts are those of ONNX Runtime's ``convert_float_to_float16``.

    Raises:
        ExportError: The graph cannot be converted.
        MissingDependencyError: ONNX Runtime, which has the conversion, is not installed.
    """
    if find_spec("onnxruntime") is None:
        raise MissingDependencyError(
            "precision fp16",
            "needs onnxruntime",
            hint="pip install onnxruntime, or choose precision tf32 or fp32.",
        )
    from onnx import checker
    from onnxruntime.transformers.float16 import convert_float_to_float16

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            converted: onnx.ModelProto = convert_float_to_float16(
                _copy(model), keep_io_types=True, node_block_list=kept, op_block_list=[]
            )
        _sort(converted.graph)
        checker.check_model(converted)
    except (
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
        checker.ValidationError,
    ) as error:
        raise ExportError(subject, "cannot be converted to FP16", got=error) from error
    for warning in caught:
        _LOG.debug("%s: %s", subject, warning.message)
    return converted


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


def _sort(graph: onnx.GraphProto) -> None:
    """Put every node behind those it reads from: the conversion leaves its casts at the end."""
    made = {value for node in graph.node for value in node.output}
    waiting, ready, done = list(graph.node), list[Any](), set[str]()
    while waiting:
        later = []
        for node in waiting:
            if all(value in done or value not in made for value in node.input):
                ready.append(node)
                done.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise ValueError("its nodes form a circle")
        waiting = later
    sorted_nodes = [_copy_node(node) for node in ready]
    del graph.node[:]
    graph.node.extend(sorted_nodes)


def _copy_node(node: onnx.NodeProto) -> onnx.NodeProto:
    copied = type(node)()
    copied.CopyFrom(node)
    return copied


def _unique_names(model: onnx.ModelProto) -> list[str]:
    return list(dict.fromkeys(node.name for node in model.graph.node if node.name))


def _overflows(model: onnx.ModelProto) -> int:
    """Weights beyond what FP16 holds."""
    import numpy as np
    from onnx import TensorProto, numpy_helper

    largest = np.finfo(np.float16).max
    weights = (t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
    return sum(int((np.abs(numpy_helper.to_array(tensor)) > largest).sum()) for tensor in weights)
