"""Defects of the exported graphs and their weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from awml_deploy_core.export.precision import apply_precision
from awml_deploy_core.runtime.trt.settings import PrecisionPolicy
from awml_deploy_lab.faults import graphs
from awml_deploy_lab.faults.defect import Change, Defect
from awml_deploy_lab.faults.deployment import ENCODER, HEAD, Deployment
from awml_deploy_lab.faults.graphs import Array, GraphChange

LAST = "pts_bbox_head.task_heads.0"
"""Name of the weights of the head's branches."""
_FP16_STRETCH = 2.0**15


def _in(component: str, *edits: GraphChange) -> Change:
    return lambda deployment: deployment.edit_graph(component, graphs.all_of(*edits))


def _channels(branch: str, order: Sequence[int], signs: Sequence[float] | None = None) -> GraphChange:
    """Write the channels of an output in another order, with other signs."""
    factors = np.array(signs if signs is not None else [1.0] * len(order), np.float32)

    def weight(values: Array) -> Array:
        return values[list(order)] * factors.reshape(-1, 1, 1, 1)

    return graphs.all_of(
        graphs.weights(f"{LAST}.{branch}.1.weight", weight),
        graphs.weights(f"{LAST}.{branch}.1.bias", lambda values: values[list(order)] * factors),
    )


def _scale(index: object, factor: float):  # type: ignore[no-untyped-def]
    def change(values: Array) -> None:
        values[index] *= factor

    return change


def _set(index: object, value: float):  # type: ignore[no-untyped-def]
    def change(values: Array) -> None:
        values[index] = value

    return change


def stretch(model: onnx.ModelProto) -> None:
    """Multiply the output of one convolution by a large number and divide in the next: the same function."""
    first, second = "pts_backbone.blocks.1.3.weight", "pts_backbone.blocks.1.6.weight"
    for name in (first, f"{first}_bias"):
        graphs.weights(name, lambda values: values * _FP16_STRETCH)(model)
    graphs.weights(second, lambda values: values / _FP16_STRETCH)(model)


def as_fp16(deployment: Deployment, component: str, *edits: GraphChange) -> None:
    """Lower the precision of a component, and say so in the manifest."""

    def lower(model: onnx.ModelProto) -> onnx.ModelProto:
        for edit in edits:
            edit(model)
        return apply_precision(model, PrecisionPolicy("fp16"), component)[0]

    deployment.edit_graph(component, lower)
    deployment.edit_manifest(
        lambda manifest: manifest["provenance"]["export"][component].update(precision="fp16")
    )


def _other_encoder(deployment: Deployment) -> None:
    rng = np.random.default_rng(0)

    def other(name: str, values: Array) -> Array:
        return values + rng.normal(0.0, 0.2 * float(np.abs(values).mean()), values.shape)

    deployment.edit_graph(ENCODER, graphs.every_weight(other))


def _other_epsilon(deployment: Deployment) -> None:
    """Fold the encoder's normalisations with PyTorch's default epsilon instead of the model's."""
    from awml_extractors.centerpoint.checkpoint import load_checkpoint
    from awml_extractors.centerpoint.folding import FoldedPillarFeatureNet
    from awml_extractors.centerpoint.variants import parse_config

    model = load_checkpoint(parse_config({"variant": "demo"}), deployment.folder / "checkpoint.pth")
    for layer in model.pts_voxel_encoder.pfn_layers:
        layer.norm.eps = 1e-5
    state = FoldedPillarFeatureNet(model.pts_voxel_encoder).state_dict()
    deployment.edit_graph(
        ENCODER,
        graphs.every_weight(lambda name, values: state[name].numpy() if name in state else values),
    )


def _no_normalisation(deployment: Deployment) -> None:
    """Export the weights of one convolution without the normalisation behind it."""
    from awml_extractors.centerpoint.checkpoint import read_state_dict

    state = read_state_dict(deployment.folder / "checkpoint.pth")
    name = "pts_backbone.blocks.1.3.weight"
    deployment.edit_graph(
        HEAD,
        graphs.all_of(
            graphs.weights(name, lambda _: state[name].numpy()),
            graphs.weights(f"{name}_bias", lambda values: np.zeros_like(values)),
        ),
    )


def _fixed_voxels(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        axis = value.type.tensor_type.shape.dim[0]
        axis.Clear()
        axis.dim_value = 10000


def _double_input(model: onnx.ModelProto) -> None:
    graphs.before("spatial_features", "Cast", to=TensorProto.FLOAT)(model)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def _unknown_operator(model: onnx.ModelProto) -> None:
    graphs.node_of(model, "relu_13").domain = "some.plugin"
    model.opset_import.append(helper.make_opsetid("some.plugin", 1))


def _through_fp16(_: str, values: Array) -> Array:
    return values.astype(np.float16).astype(np.float32)


def _nearest_upsampling(model: onnx.ModelProto) -> None:
    """Upsample by repeating pixels and a 1x1 convolution, as an export without deconvolutions would."""
    node = graphs.node_of(model, "getitem_33")
    weight = numpy_helper.to_array(
        next(item for item in model.graph.initializer if item.name == node.input[1])
    )
    name = "upsampling.weight"
    kernel = np.ascontiguousarray(weight.mean(axis=(2, 3)).T[:, :, None, None])
    scales = np.array([1, 1, 2, 2], np.float32)
    model.graph.initializer.extend(
        [numpy_helper.from_array(kernel, name), numpy_helper.from_array(scales, "upsampling.scales")]
    )
    source, bias = node.input[0], node.input[2]
    place = list(model.graph.node).index(node)
    model.graph.node.remove(node)
    resize = helper.make_node(
        "Resize", [source, "", "upsampling.scales"], ["upsampled"], name="upsampling", mode="nearest"
    )
    conv = helper.make_node("Conv", ["upsampled", name, bias], ["getitem_33"], name="after_upsampling")
    model.graph.node.insert(place, resize)
    model.graph.node.insert(place + 1, conv)


def _truncate(deployment: Deployment) -> None:
    path = deployment.graph_path(HEAD)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    deployment.record_files()


def _exchange_files(deployment: Deployment) -> None:
    encoder, head = deployment.graph_path(ENCODER), deployment.graph_path(HEAD)
    first, second = encoder.read_bytes(), head.read_bytes()
    encoder.write_bytes(second)
    head.write_bytes(first)
    deployment.record_files()


_STAGE = "pts_backbone.blocks.1.6.weight"

WEIGHT_DEFECTS = (
    Defect(
        "a filter of the backbone is 10 % too large",
        "graph",
        _in(HEAD, graphs.weights(_STAGE, _scale(3, 1.1))),
        "component",
        ("changed weights", _STAGE),
    ),
    Defect(
        "one weight of 780 000 is zero",
        "graph",
        _in(
            HEAD,
            graphs.weights(_STAGE, lambda w: _set(np.unravel_index(np.abs(w).argmax(), w.shape), 0.0)(w)),
        ),
        "component",
        ("changed weights", _STAGE),
    ),
    Defect(
        "a weight is NaN",
        "graph",
        _in(HEAD, graphs.weights(_STAGE, _set((0, 0, 0, 0), np.nan))),
        "component",
        ("changed weights", _STAGE, "NaN"),
    ),
    Defect(
        "the bias of the heatmap is dropped",
        "graph",
        _in(HEAD, graphs.weights(f"{LAST}.heatmap.1.bias", lambda values: values * 0)),
        "component",
        ("heatmap", "constant"),
    ),
    Defect(
        "the normalisation of a convolution is left out",
        "graph",
        _no_normalisation,
        "component",
        ("changed weights", "pts_backbone.blocks.1.3.weight"),
    ),
    Defect(
        "the encoder's normalisations have another epsilon (1e-5 for 1e-3)",
        "graph",
        _other_epsilon,
        "component",
        ("changed weights", "layers.0.of_points", "layers.1.bias"),
    ),
    Defect(
        "the encoder is that of another checkpoint",
        "graph",
        _other_encoder,
        "component",
        ("changed weights", "layers.0.of_points", "layers.1.of_maximum"),
    ),
    Defect(
        "the encoder takes the time lag with the opposite sign",
        "graph",
        _in(ENCODER, graphs.weights("layers.0.of_points", _scale(3, -1.0))),
        "component",
        ("changed weights", "layers.0.of_points"),
    ),
    Defect(
        "the encoder expects the offsets to the centre before those to the mean",
        "graph",
        _in(ENCODER, graphs.weights("layers.0.of_points", lambda w: w[[0, 1, 2, 3, 6, 7, 8, 4, 5]])),
        "component",
        ("changed weights", "layers.0.of_points"),
    ),
    Defect(
        "a deconvolution's kernel is turned by half a turn",
        "graph",
        _in(HEAD, graphs.weights("pts_neck.deblocks.1.0.weight", lambda w: w[:, :, ::-1, ::-1])),
        "component",
        ("changed weights", "pts_neck.deblocks.1.0.weight"),
    ),
    Defect(
        "weights were rounded to half precision and nobody said so",
        "graph",
        _in(HEAD, graphs.every_weight(_through_fp16)),
        "component",
        ("changed weights", "pts_backbone.blocks.0.0.weight"),
    ),
    Defect(
        "half precision overflows inside",
        "graph",
        lambda deployment: as_fp16(deployment, HEAD, stretch),
        "component",
        ("NaN or infinite", "heatmap"),
    ),
)

CONVENTION_DEFECTS = (
    Defect(
        "two classes of the heatmap are swapped",
        "graph",
        _in(HEAD, _channels("heatmap", (0, 2, 1, 3, 4))),
        "component",
        ("heatmap", "channels 1 and 2 are swapped"),
    ),
    Defect(
        "rot is (sin, cos): the export's flag for the vehicle's convention was forgotten",
        "graph",
        _in(HEAD, _channels("rot", (1, 0), (-1, -1))),
        "component",
        ("rot", "channels 0 and 1 are swapped", "opposite sign"),
    ),
    Defect(
        "length and width are swapped",
        "graph",
        _in(HEAD, _channels("dim", (1, 0, 2))),
        "component",
        ("dim", "channels 0 and 1 are swapped"),
    ),
    Defect(
        "the yaw has the opposite sign",
        "graph",
        _in(HEAD, _channels("rot", (0, 1), (1, -1))),
        "component",
        ("rot", "channel 1 has the opposite sign"),
    ),
    Defect(
        "velocities have the opposite sign",
        "graph",
        _in(HEAD, _channels("vel", (0, 1), (-1, -1))),
        "component",
        ("vel", "opposite sign"),
    ),
    Defect(
        "heights are 0.9 m too low",
        "graph",
        _in(HEAD, graphs.weights(f"{LAST}.height.1.bias", lambda values: values - 0.9)),
        "component",
        ("height", "constant", "-0.9"),
    ),
    Defect(
        "offsets within a cell are twice as large",
        "graph",
        _in(
            HEAD, *(graphs.weights(f"{LAST}.reg.1.{part}", lambda w: w * 2) for part in ("weight", "bias"))
        ),
        "component",
        ("reg", "2 times"),
    ),
    Defect(
        "reg and vel give each other's values",
        "graph",
        _in(HEAD, graphs.exchange_outputs("reg", "vel")),
        "component",
        ("reg", "is the reference's vel"),
    ),
    Defect(
        "the sigmoid is in the graph as well",
        "graph",
        _in(HEAD, graphs.behind("heatmap", "Sigmoid")),
        "component",
        ("heatmap", "sigmoid of the reference"),
    ),
    Defect(
        "sizes leave the graph without logarithm",
        "graph",
        _in(HEAD, graphs.behind("dim", "Exp")),
        "component",
        ("dim", "exponential of the reference"),
    ),
    Defect(
        "the maps are transposed behind the head",
        "graph",
        _in(HEAD, graphs.behind("heatmap", "Transpose", perm=[0, 1, 3, 2])),
        "component",
        ("heatmap", "transposed"),
    ),
    Defect(
        "the canvas is transposed before the backbone",
        "graph",
        _in(HEAD, graphs.before("spatial_features", "Transpose", perm=[0, 1, 3, 2])),
        "component",
        ("added_Transpose",),
    ),
    Defect(
        "the canvas is flipped in y before the backbone",
        "graph",
        lambda deployment: deployment.edit_graph(HEAD, _flip_canvas),
        "component",
        ("added_Slice",),
    ),
)


def _flip_canvas(model: onnx.ModelProto) -> None:
    graphs.before("spatial_features", "Slice")(model)
    values = {"starts": -1, "ends": np.iinfo(np.int64).min, "axes": 2, "steps": -1}
    for name, value in values.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), name))
        model.graph.node[0].input.append(name)


OPERATOR_DEFECTS = (
    Defect(
        "the mean of a pillar's points instead of their maximum",
        "graph",
        _in(ENCODER, graphs.another_operator("amax", "ReduceMean")),
        "component",
        ("ReduceMean", "ReduceMax"),
    ),
    Defect(
        "a ReLU was lost",
        "graph",
        _in(HEAD, graphs.another_operator("relu_4", "Identity")),
        "component",
        ("Identity", "Relu"),
    ),
    Defect(
        "a strided convolution pads on the other side",
        "graph",
        _in(HEAD, graphs.attribute("getitem_6", "pads", [0, 0, 2, 2])),
        "component",
        ("getitem_6", "pads"),
    ),
    Defect(
        "upsampling repeats pixels instead of a deconvolution",
        "graph",
        lambda deployment: deployment.edit_graph(HEAD, _nearest_upsampling),
        "component",
        ("Resize", "upsampling"),
    ),
)

FORM_DEFECTS = (
    Defect(
        "the file is truncated", "graph", _truncate, "load", ("pts_backbone_neck_head.onnx", "truncated")
    ),
    Defect(
        "an output is missing", "graph", _in(HEAD, graphs.drop_output("vel")), "load", ("vel", "5 outputs")
    ),
    Defect(
        "the outputs are in another order",
        "graph",
        _in(HEAD, graphs.order_outputs("heatmap", "height", "reg", "dim", "rot", "vel")),
        "load",
        ("output 1 is height", "expected height at position 2"),
    ),
    Defect(
        "an input has another name",
        "graph",
        _in(HEAD, graphs.rename_input("spatial_features", "canvas")),
        "bundle",
        ("input canvas", "spatial_features"),
    ),
    Defect(
        "an input is double precision",
        "graph",
        _in(HEAD, _double_input),
        "load",
        ("spatial_features", "float64"),
    ),
    Defect(
        "the number of pillars is fixed",
        "graph",
        _in(ENCODER, _fixed_voxels),
        "load",
        ("input_features", "fixed at 10000"),
    ),
    Defect(
        "an operator is of a plug-in that is not there",
        "graph",
        _in(HEAD, _unknown_operator),
        "load",
        ("pts_backbone_neck_head.onnx", "some.plugin"),
    ),
    Defect(
        "the files of the components are exchanged",
        "graph",
        _exchange_files,
        "load",
        ("pts_voxel_encoder.onnx", "component is 'pts_backbone_neck_head'"),
    ),
    Defect(
        "the file says that rot is (sin, cos)",
        "graph",
        _in(HEAD, graphs.metadata("head_rot_encoding", "sin_cos")),
        "load",
        ("head_rot_encoding", "sin_cos"),
    ),
)

GRAPH_DEFECTS = (*WEIGHT_DEFECTS, *CONVENTION_DEFECTS, *OPERATOR_DEFECTS, *FORM_DEFECTS)
