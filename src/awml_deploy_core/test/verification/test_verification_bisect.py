"""The first diverging tensor inside a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.verification import Tolerances
from awml_deploy_core.verification import bisect as module
from awml_deploy_core.verification.bisect import Bisection, bisect_execution, bisect_file
from awml_deploy_core.verification.half_range import half_range_problem

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

LAYERS = 5
INPUT = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)


def graph(path: Path, change: Callable[[Any], None] | None = None) -> Path:
    """A chain of matrix products, each with an activation."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(1)
    nodes, weights, name = [], [], "x"
    for k in range(LAYERS):
        weight = rng.normal(size=(4, 4)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{k}"))
        nodes.append(helper.make_node("MatMul", [name, f"w{k}"], [f"m{k}"], name=f"product{k}"))
        nodes.append(helper.make_node("Tanh", [f"m{k}"], [f"t{k}"], name=f"tanh{k}"))
        name = f"t{k}"
    found = helper.make_model(
        helper.make_graph(
            nodes,
            "chain",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 4])],
            weights,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    if change:
        change(found)
    onnx.save(found, str(path))
    return path


def perturbed(index: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        from onnx import numpy_helper

        weight = model.graph.initializer[index]
        values = numpy_helper.to_array(weight).copy()
        values[0, 0] += 0.25
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))

    return change


def other_operator(model: Any) -> None:
    model.graph.node[5].op_type = "Sigmoid"


def search(tmp_path: Path, change: Callable[[Any], None] | None) -> Bisection:
    reference = graph(tmp_path / "reference.onnx")
    return bisect_file("head", graph(tmp_path / "file.onnx", change), reference, [INPUT], Tolerances())


@pytest.mark.parametrize("index", range(LAYERS))
@pytest.mark.parametrize("at_a_time", [1, 3, 32])
def test_a_changed_weight_is_named_with_the_first_tensor_that_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: int, at_a_time: int
) -> None:
    monkeypatch.setattr(module, "_MOST_AT_A_TIME", at_a_time)
    found = search(tmp_path, perturbed(index))
    assert found.changed_weights == (f"w{index}",)
    divergence = found.divergence
    assert divergence is not None
    assert (divergence.node, divergence.op_type) == (f"product{index}", "MatMul")
    assert (divergence.output, divergence.position) == (f"m{index}", 2 * index)
    assert divergence.comparison.statistics is not None
    assert f"changed weights: w{index}" in found.message()
    assert f"MatMul product{index} (node {2 * index + 1} of 10)" in found.message()


def test_another_operator_is_found_without_a_changed_weight(tmp_path: Path) -> None:
    found = search(tmp_path, other_operator)
    assert found.changed_weights == ()
    assert found.divergence is not None
    assert (found.divergence.node, found.divergence.op_type) == ("tanh2", "Sigmoid")


def test_equal_files_differ_nowhere(tmp_path: Path) -> None:
    found = search(tmp_path, None)
    assert found.divergence is None
    assert found.tensors_compared == 2 * LAYERS
    assert "the file is the one that the trained model gives" in found.message()


def test_execution_agrees_with_itself(tmp_path: Path) -> None:
    path = graph(tmp_path / "file.onnx")
    found = bisect_execution("head", path, "CPUExecutionProvider", [INPUT], Tolerances())
    assert found.divergence is None
    assert found.tensors_compared == 2 * LAYERS


def test_what_overflows_is_found_where_it_does(tmp_path: Path) -> None:
    def large(model: Any) -> None:
        from onnx import numpy_helper

        weight = model.graph.initializer[1]
        weight.CopyFrom(numpy_helper.from_array(np.full((4, 4), np.inf, np.float32), weight.name))

    found = search(tmp_path, large)
    assert found.divergence is not None
    assert found.divergence.output == "m1"
    assert "NaN or infinite" in found.message()


def test_a_truncated_file_is_an_error(tmp_path: Path) -> None:
    path = graph(tmp_path / "file.onnx")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArtifactError, match="no readable ONNX file"):
        bisect_file("head", path, path, [INPUT], Tolerances())


def test_a_tensor_beyond_half_precision_is_named_though_the_next_operator_tames_it(tmp_path: Path) -> None:
    def enlarge(model: Any) -> None:
        from onnx import numpy_helper

        weight = model.graph.initializer[2]
        values = numpy_helper.to_array(weight) * np.float32(1e6)
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))

    assert half_range_problem(graph(tmp_path / "sound.onnx"), [INPUT]) == ""
    found = half_range_problem(graph(tmp_path / "large.onnx", enlarge), [INPUT])
    assert "values of m2, made by MatMul product2, are beyond what half precision holds (65504)" in found


def test_other_operators_and_attributes_are_named(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        from onnx import helper

        nodes = model.graph.node
        nodes[3].op_type = "Relu"
        nodes[4].attribute.append(helper.make_attribute("fused", 1))
        nodes[6].input[0] = "t1"
        added = helper.make_node("Neg", ["t2"], ["u"], name="added")
        nodes.insert(6, added)

    files = graph(tmp_path / "test.onnx", change), graph(tmp_path / "reference.onnx")
    models = tuple(onnx.load(str(path)) for path in files)
    assert module.changed_nodes(*models) == (
        "t1 is made by Relu, not by Tanh",
        "fused of MatMul product2 is 1, not None",
        "Neg added is only in the file",
        "MatMul product3 takes t1, not t2",
    )
    assert module.changed_nodes(models[1], models[0])[-1] == "Neg added is missing in the file"
    for node in models[0].graph.node:
        node.output[0] += "_renamed"
    assert module.changed_nodes(*models) == ()
