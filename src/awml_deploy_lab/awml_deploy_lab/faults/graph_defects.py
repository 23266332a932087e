"""Defects of the exported graphs: conventions, operators and the form of the file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from awml_deploy_lab.faults import graphs
from awml_deploy_lab.faults.defect import Defect
from awml_deploy_lab.faults.deployment import ENCODER, HEAD, Deployment
from awml_deploy_lab.faults.graphs import Array, GraphChange
from awml_deploy_lab.faults.weight_defects import LAST, STAGE, within


def _channels(branch: str, order: Sequence[int], signs: Sequence[float] | None = None) -> GraphChange:
    """Write the channels of an output in another order, with other signs."""
    factors = np.array(signs if signs is not None else [1.0] * len(order), np.float32)

    def weight(values: Array) -> Array:
        return values[list(order)] * factors.reshape(-1, 1, 1, 1)

    return graphs.all_of(
        graphs.weights(f"{LAST}.{branch}.1.weight", weight),
        graphs.weights(f"{LAST}.{branch}.1.bias", lambda values: values[list(order)] * factors),
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
    graphs.first("Relu")(model).domain = "some.plugin"
    model.opset_import.append(helper.make_opsetid("some.plugin", 1))


def _nearest_upsampling(model: onnx.ModelProto) -> None:
    """Upsample by repeating pixels and a 1x1 convolution, as an export without deconvolutions would."""
    node = graphs.taking("pts_neck.deblocks.1.0.weight")(model)
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
    conv = helper.make_node("Conv", ["upsampled", name, bias], list(node.output), name="after_upsampling")
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


CONVENTION_DEFECTS = (
    Defect(
        "two classes of the heatmap are swapped",
        "graph",
        within(HEAD, _channels("heatmap", (0, 2, 1, 3, 4))),
        "component",
        ("heatmap", "channels 1 and 2 are swapped"),
    ),
    Defect(
        "rot is (sin, cos): the export's flag for the vehicle's convention was forgotten",
        "graph",
        within(HEAD, _channels("rot", (1, 0), (-1, -1))),
        "component",
        ("rot", "channels 0 and 1 are swapped", "opposite sign"),
    ),
    Defect(
        "length and width are swapped",
        "graph",
        within(HEAD, _channels("dim", (1, 0, 2))),
        "component",
        ("dim", "channels 0 and 1 are swapped"),
    ),
    Defect(
        "the yaw has the opposite sign",
        "graph",
        within(HEAD, _channels("rot", (0, 1), (1, -1))),
        "component",
        ("rot", "channel 1 has the opposite sign"),
    ),
    Defect(
        "velocities have the opposite sign",
        "graph",
        within(HEAD, _channels("vel", (0, 1), (-1, -1))),
        "component",
        ("vel", "opposite sign"),
    ),
    Defect(
        "heights are 0.9 m too low",
        "graph",
        within(HEAD, graphs.weights(f"{LAST}.height.1.bias", lambda values: values - 0.9)),
        "component",
        ("height", "constant", "-0.9"),
    ),
    Defect(
        "offsets within a cell are twice as large",
        "graph",
        within(
            HEAD, *(graphs.weights(f"{LAST}.reg.1.{part}", lambda w: w * 2) for part in ("weight", "bias"))
        ),
        "component",
        ("reg", "2 times"),
    ),
    Defect(
        "reg and vel give each other's values",
        "graph",
        within(HEAD, graphs.exchange_outputs("reg", "vel")),
        "component",
        ("reg", "is the reference's vel"),
    ),
    Defect(
        "the sigmoid is in the graph as well",
        "graph",
        within(HEAD, graphs.behind("heatmap", "Sigmoid")),
        "component",
        ("heatmap", "sigmoid of the reference"),
    ),
    Defect(
        "sizes leave the graph without logarithm",
        "graph",
        within(HEAD, graphs.behind("dim", "Exp")),
        "component",
        ("dim", "exponential of the reference"),
    ),
    Defect(
        "the maps are transposed behind the head",
        "graph",
        within(HEAD, graphs.behind("heatmap", "Transpose", perm=[0, 1, 3, 2])),
        "component",
        ("heatmap", "transposed"),
    ),
    Defect(
        "the canvas is transposed before the backbone",
        "graph",
        within(HEAD, graphs.before("spatial_features", "Transpose", perm=[0, 1, 3, 2])),
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
        within(ENCODER, graphs.another_operator(graphs.first("ReduceMax"), "ReduceMean")),
        "component",
        ("ReduceMean", "ReduceMax"),
    ),
    Defect(
        "a ReLU was lost",
        "graph",
        within(HEAD, graphs.another_operator(graphs.after(STAGE), "Identity")),
        "component",
        ("Identity", "Relu"),
    ),
    Defect(
        "a strided convolution pads on the other side",
        "graph",
        within(
            HEAD, graphs.attribute(graphs.taking("pts_backbone.blocks.1.0.weight"), "pads", [0, 0, 2, 2])
        ),
        "component",
        ("pads of Conv", "[0, 0, 2, 2]"),
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
        "an output is missing",
        "graph",
        within(HEAD, graphs.drop_output("vel")),
        "load",
        ("vel", "5 outputs"),
    ),
    Defect(
        "the outputs are in another order",
        "graph",
        within(HEAD, graphs.order_outputs("heatmap", "height", "reg", "dim", "rot", "vel")),
        "load",
        ("output 1 is height", "expected height at position 2"),
    ),
    Defect(
        "an input has another name",
        "graph",
        within(HEAD, graphs.rename_input("spatial_features", "canvas")),
        "bundle",
        ("input canvas", "spatial_features"),
    ),
    Defect(
        "an input is double precision",
        "graph",
        within(HEAD, _double_input),
        "load",
        ("spatial_features", "float64"),
    ),
    Defect(
        "the number of pillars is fixed",
        "graph",
        within(ENCODER, _fixed_voxels),
        "load",
        ("input_features", "fixed at 10000"),
    ),
    Defect(
        "an operator is of a plug-in that is not there",
        "graph",
        within(HEAD, _unknown_operator),
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
        within(HEAD, graphs.metadata("head_rot_encoding", "sin_cos")),
        "load",
        ("head_rot_encoding", "sin_cos"),
    ),
)

GRAPH_DEFECTS = (*CONVENTION_DEFECTS, *OPERATOR_DEFECTS, *FORM_DEFECTS)
