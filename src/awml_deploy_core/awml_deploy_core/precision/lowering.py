"""Graphs in lower precision: FP16 by casts, INT8 by Q/DQ nodes that TensorRT takes as explicit."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from awml_deploy_core.config.precision_schema import Int8Section
from awml_deploy_core.errors import ExportError
from awml_deploy_core.export.precision import PRECISION_KEY, cast_to_fp16
from awml_deploy_core.precision.calibration import Ranges, require_quantizer
from awml_deploy_core.precision.groups import with_names

if TYPE_CHECKING:
    import onnx


def to_fp16(model: onnx.ModelProto, kept: Collection[str], subject: str) -> onnx.ModelProto:
    """Cast every node but those in ``kept`` to FP16; inputs and outputs stay FP32.

    Raises:
        ExportError: The graph cannot be converted.
        MissingDependencyError: ONNX Runtime, which has the conversion, is not installed.
    """
    named = with_names(model)
    return marked(cast_to_fp16(named, sorted(kept), subject), "fp16")


def to_int8(
    model: onnx.ModelProto, nodes: Collection[str], ranges: Ranges, settings: Int8Section, subject: str
) -> onnx.ModelProto:
    """Quantise some layers with static Q/DQ nodes; everything else stays FP32.

    Zero points are 0, weights are stored in 8 bits with one scale a channel, biases stay FP32, and no
    output of the graph is quantised: what TensorRT asks of explicit quantisation, and what it fuses.
    Made by ONNX Runtime's ``QDQQuantizer``.

    Args:
        model: In full precision; not changed.
        nodes: Names of the layers, as :func:`~.groups.with_names` gives them.
        ranges: Of all tensors.
        settings: Which operators, and whether their outputs too.
        subject: What the graph is, for errors.

    Raises:
        ExportError: The graph cannot be quantised.
        MissingDependencyError: ONNX Runtime's quantisation tools cannot be imported.
    """
    require_quantizer()
    from onnx import checker
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    named = with_names(model)
    if not nodes:
        return marked(named, "fp32")
    options = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "MatMulConstBOnly": True,
        "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1},
        "OpTypesToExcludeOutputQuantization": [] if settings.outputs else list(settings.operators),
    }
    try:
        quantizer = QDQQuantizer(
            named,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, _fitted(named, ranges)),
            nodes_to_quantize=list(nodes),
            nodes_to_exclude=[],
            op_types_to_quantize=list(settings.operators),
            extra_options=options,
        )
        quantizer.quantize_model()
        quantized: onnx.ModelProto = quantizer.model.model
        _only_for(set(nodes), quantized.graph)
        _bare_outputs(quantized.graph)
        quantizer.model.topological_sort()
        checker.check_model(quantized)
    except (LookupError, RuntimeError, TypeError, ValueError, checker.ValidationError) as error:
        raise ExportError(subject, "cannot be quantised", got=error) from error
    return marked(quantized, "int8")


def marked(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The model, which now says in its metadata that it carries its precision itself."""
    for entry in model.metadata_props:
        if entry.key == PRECISION_KEY:
            entry.value = precision
            return model
    model.metadata_props.add(key=PRECISION_KEY, value=precision)
    return model


def _fitted(model: onnx.ModelProto, ranges: Ranges) -> dict[str, Any]:
    """Ranges in which a tensor that only a Relu reads has that of the Relu's output.

    What lies below is cut off by the quantisation instead of by the Relu, which is the same: the
    tensor's own scale would only round a second time.
    """
    import numpy as np

    fitted = dict(ranges)
    readers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in model.graph.output}
    for name, nodes in readers.items():
        if len(nodes) == 1 and nodes[0].op_type == "Relu" and name not in outputs and name in ranges:
            fitted[name] = ranges.get(nodes[0].output[0], ranges[name])
    return {name: (np.float32(low), np.float32(high)) for name, (low, high) in fitted.items()}


def _only_for(layers: set[str], graph: onnx.GraphProto) -> None:
    """Let every other node read a tensor itself where only the layers have to read it quantised.

    What a layer gives stays quantised for all: its 8-bit kernel has no other output.
    """
    makers = {name: node for node in graph.node for name in node.output}
    sources = {}
    for node in graph.node:
        quantize = makers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if quantize is not None and getattr(makers.get(quantize.input[0]), "name", None) not in layers:
            sources[node.output[0]] = quantize.input[0]
    for node in graph.node:
        if node.name not in layers:
            for index, name in enumerate(node.input):
                node.input[index] = sources.get(name, name)


def _bare_outputs(graph: onnx.GraphProto) -> None:
    """Remove the Q/DQ pair before every output of the graph: eight bits are too few for a result."""
    makers = {name: node for node in graph.node for name in node.output}
    for value in graph.output:
        dequantize = makers.get(value.name)
        if dequantize is None or dequantize.op_type != "DequantizeLinear":
            continue
        quantize = makers[dequantize.input[0]]
        source = makers[quantize.input[0]]
        old = quantize.input[0]
        source.output[list(source.output).index(old)] = value.name
        for node in (dequantize, quantize):
            graph.node.remove(node)
        for node in graph.node:
            for index, name in enumerate(node.input):
                if name == old:
                    node.input[index] = value.name
