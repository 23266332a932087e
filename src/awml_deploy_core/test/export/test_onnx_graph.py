from __future__ import annotations

from typing import Any

import pytest

from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_deploy_core.errors import ExportError
from awml_deploy_core.export.graph import check, clean, operator_counts, opset_of, simplify

onnx = pytest.importorskip("onnx")
helper = onnx.helper
FLOAT = onnx.TensorProto.FLOAT

SPEC = ComponentSpec("f", "f.onnx", (TensorSpec("x", (2, 3)),), (TensorSpec("y", (2, 3)),))


def model(
    nodes: list[Any] | None = None, shape: tuple[Any, ...] = (2, 3), opset: int = 17, output: str = "y"
) -> Any:
    graph = helper.make_graph(
        nodes or [helper.make_node("Relu", ["x"], [output])],
        "torch_graph",
        [helper.make_tensor_value_info("x", FLOAT, (2, 3))],
        [helper.make_tensor_value_info(output, FLOAT, shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def test_a_right_graph_passes() -> None:
    assert opset_of(check(model(), SPEC, 17)) == 17


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        (model(opset=18), "opset 18, expected 17"),
        (model(output="z"), "outputs z, expected y"),
        (model(shape=(2, 4)), "output y: axis 1 is 4, expected 3"),
        (model([helper.make_node("Relu", ["x"], ["y"], domain="com.microsoft")]), "domain com.microsoft"),
    ],
)
def test_a_graph_that_is_not_the_spec_s_is_refused(graph: Any, problem: str) -> None:
    with pytest.raises(ExportError, match="component f: the exported graph does not match") as caught:
        check(graph, SPEC, 17)
    assert problem in caught.value.problems[0]


def test_shapes_that_inference_contradicts_are_refused() -> None:
    lying = model([helper.make_node("Transpose", ["x"], ["y"])])
    with pytest.raises(ExportError, match="component f: the exported graph is invalid"):
        check(lying, SPEC, 17)


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ExportError, match="the exported graph is invalid"):
        check(model([helper.make_node("NoSuchOp", ["x"], ["y"])]), SPEC, 17)


def test_cleaning_reaches_nested_graphs() -> None:
    def branch(name: str, op: str) -> Any:
        node = helper.make_node(op, ["x"], [name], doc_string="/home/someone/model.py")
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, FLOAT, (2, 3))])

    condition = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("v", 9, [], [True]))
    choice = helper.make_node(
        "If", ["c"], ["y"], then_branch=branch("a", "Relu"), else_branch=branch("b", "Neg")
    )
    graph = model([condition, choice])
    graph.doc_string = "made by someone"
    clean(graph, SPEC)
    assert b"someone" not in graph.SerializeToString()
    assert graph.graph.name == "f"
    assert graph.ir_version == 8
    check(graph, SPEC, 17)


def test_operators_are_counted_by_name() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    assert operator_counts(model(nodes)) == {"Relu": 2}


def test_a_failing_simplification_names_the_component(monkeypatch: pytest.MonkeyPatch) -> None:
    onnxslim = pytest.importorskip("onnxslim")

    def fail(_: Any) -> None:
        raise AttributeError("no such node")

    monkeypatch.setattr(onnxslim, "slim", fail)
    with pytest.raises(ExportError, match="component f: onnxslim cannot simplify it; got no such node"):
        simplify(model(), SPEC)
