"""Layer groups of small graphs."""

from __future__ import annotations

from typing import Any

import pytest

from awml_deploy_core.precision.groups import layer_groups, with_names

pytest.importorskip("onnx")

CONV = ("Conv",)


def graph(*weights: str, paths: tuple[str, ...] = ()) -> Any:
    """A chain of 1x1 convolutions, each with a Relu behind it."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    nodes, previous = [], "x"
    for index, weight in enumerate(weights):
        name = paths[index] if paths else ""
        nodes.append(helper.make_node("Conv", [previous, weight], [f"conv{index}"], name))
        nodes.append(helper.make_node("Relu", [f"conv{index}"], [f"relu{index}"]))
        previous = f"relu{index}"
    shape = ["n", 4, 8, 8]
    made = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(previous, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), name) for name in weights],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])


def names(model: Any, depth: int) -> dict[str, int]:
    return {group.name: len(group.layers) for group in layer_groups(with_names(model), "head", depth, CONV)}


WEIGHTS = ("backbone.blocks.0.0.weight", "backbone.blocks.0.3.weight", "neck.0.weight")


def test_weights_name_the_groups() -> None:
    model = graph(*WEIGHTS)
    assert names(model, 3) == {"backbone.blocks.0": 2, "neck.0": 1}
    assert names(model, 1) == {"backbone": 2, "neck": 1}
    assert len(names(model, 4)) == len(names(model, 0)) == 3


def test_nodes_name_the_groups_where_an_exporter_made_up_the_weights() -> None:
    model = graph("onnx::Conv_12", "onnx::Conv_15", paths=("/neck/blocks.0/Conv", "/neck/blocks.1/Conv"))
    assert names(model, 3) == {"neck.blocks.0": 1, "neck.blocks.1": 1}
    assert names(model, 1) == {"neck": 2}


def test_activations_belong_to_the_layer_before_them() -> None:
    model = with_names(graph(*WEIGHTS))
    first, *_ = layer_groups(model, "head", 4, CONV)
    assert first.layers == (model.graph.node[0].name,)
    assert first.members == tuple(node.name for node in model.graph.node[:2])
    assert first.title == "head: backbone.blocks.0.0"


def test_every_node_gets_a_name_of_its_own() -> None:
    model = graph(*WEIGHTS, paths=("same", "same", "same"))
    named = [node.name for node in with_names(model).graph.node]
    assert len(set(named)) == len(named)
    assert [node.name for node in model.graph.node].count("same") == 3
