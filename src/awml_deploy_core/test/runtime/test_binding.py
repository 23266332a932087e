import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.runtime.binding import GraphTensor, bind, incompatibility

N = DynamicAxis("n", 1, 4, 8)
SPEC = ComponentSpec(
    "head",
    "head.onnx",
    (TensorSpec("canvas", (1, 4, 8, 8)),),
    (TensorSpec("reg", (1, 2, 8, 8)), TensorSpec("rot", (1, 2, 8, 8)), TensorSpec("height", (1, 1, 8, 8))),
)
ENCODER = ComponentSpec("encoder", "e.onnx", (TensorSpec("x", (N, 9)),), (TensorSpec("y", (N, 4)),))


def graph(
    spec: ComponentSpec, inputs: list[str], outputs: list[str]
) -> tuple[list[GraphTensor], list[GraphTensor]]:
    """Tensors of the spec's shapes under other names."""

    def tensors(specs: tuple[TensorSpec, ...], names: list[str]) -> list[GraphTensor]:
        return [
            GraphTensor(name, s.dtype, tuple(a.name if isinstance(a, DynamicAxis) else a for a in s.shape))
            for s, name in zip(specs, names, strict=True)
        ]

    return tensors(spec.inputs, inputs), tensors(spec.outputs, outputs)


def test_same_names_bind_by_name() -> None:
    binding = bind(SPEC, *graph(SPEC, ["canvas"], ["reg", "rot", "height"]), "head.onnx")
    assert (binding.inputs, binding.outputs) == (("canvas",), ("reg", "rot", "height"))
    assert not binding.by_index


@given(st.permutations([0, 1, 2]).filter(lambda order: order != [0, 1, 2]))
def test_the_right_names_in_another_order_are_refused(order: list[int]) -> None:
    """The vehicle's own node binds by index: reg and rot have the same shape."""
    inputs, outputs = graph(SPEC, ["canvas"], ["reg", "rot", "height"])
    with pytest.raises(ArtifactError, match=r"expected .* at position") as caught:
        bind(SPEC, inputs, [outputs[i] for i in order], "head.onnx")
    misplaced = sum(i != place for place, i in enumerate(order))
    assert sum("at position" in problem for problem in caught.value.problems) == misplaced


def test_extra_outputs_may_follow_when_the_names_match() -> None:
    inputs, outputs = graph(SPEC, ["canvas"], ["reg", "rot", "height"])
    extra = GraphTensor("debug", "float32", (1,))
    assert bind(SPEC, inputs, [*outputs, extra], "x").outputs == ("reg", "rot", "height")
    with pytest.raises(ArtifactError):
        bind(SPEC, inputs, [extra, *outputs], "x")


def test_other_names_bind_by_index() -> None:
    binding = bind(SPEC, *graph(SPEC, ["input.1"], ["594", "598", "602"]), "head.onnx")
    assert (binding.inputs, binding.outputs) == (("input.1",), ("594", "598", "602"))
    assert binding.by_index
    assert binding.graph_names(SPEC) == {"canvas": "input.1", "reg": "594", "rot": "598", "height": "602"}


def test_partly_other_names_bind_by_index_if_the_known_ones_are_in_place() -> None:
    binding = bind(SPEC, *graph(SPEC, ["canvas"], ["reg", "rotation", "height"]), "x")
    assert binding.by_index


def test_a_known_name_in_another_place_is_ambiguous() -> None:
    with pytest.raises(ArtifactError) as caught:
        bind(SPEC, *graph(SPEC, ["canvas"], ["rot", "regression", "height"]), "x")
    assert caught.value.problems == ("output 0 is rot, expected rot at position 1",)


def test_symbolic_dimensions_fit_everything() -> None:
    inputs = [GraphTensor("x", "float32", (None, "c"))]
    outputs = [GraphTensor("y", "float32", ("n", 4))]
    assert bind(ENCODER, inputs, outputs, "x").inputs == ("x",)


def test_a_fixed_dimension_does_not_fit_a_dynamic_axis() -> None:
    inputs, outputs = [GraphTensor("x", "float32", (4, 9))], [GraphTensor("y", "float32", (4, 4))]
    with pytest.raises(ArtifactError) as caught:
        bind(ENCODER, inputs, outputs, "x")
    assert caught.value.problems == (
        "input x: axis 0 is fixed at 4, expected n[1..4..8]",
        "output y: axis 0 is fixed at 4, expected n[1..4..8]",
    )


def test_every_offending_tensor_is_listed() -> None:
    inputs = [GraphTensor("canvas", "float16", (1, 4, 8, 8))]
    outputs = [
        GraphTensor("reg", "float32", (1, 4, 8, 8)),
        GraphTensor("rot", "float32", (1, 2, 64)),
        GraphTensor("height", "float32", (1, 1, 8, 8)),
    ]
    with pytest.raises(
        ArtifactError, match=r"/b/head.onnx: its tensors do not match component head"
    ) as caught:
        bind(SPEC, inputs, outputs, "/b/head.onnx")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "input canvas",
        "output reg",
        "output rot",
    ]
    assert "dtype float16, expected float32" in caught.value.problems[0]
    assert "axis 1 is 4, expected 2" in caught.value.problems[1]
    assert "rank 3" in caught.value.problems[2]


def test_another_number_of_tensors_is_refused_with_both_lists() -> None:
    inputs, outputs = graph(SPEC, ["canvas"], ["a", "b", "c"])
    with pytest.raises(ArtifactError, match=r"2 outputs \(a float32.*expected 3 \(reg float32"):
        bind(SPEC, inputs, outputs[:2], "x")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "string", "seq(tensor(float))"])
def test_another_kind_of_tensor_is_refused_whether_numpy_knows_it_or_not(dtype: str) -> None:
    tensor = GraphTensor("x", dtype, (1, 3))
    assert incompatibility(TensorSpec("x", (1, 3)), tensor) == (
        f"dtype {dtype}, expected float32 (x float32 [1, 3])"
    )


def test_a_graph_without_inputs_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"0 inputs \(none\), expected 1"):
        bind(SPEC, [], graph(SPEC, ["canvas"], ["a", "b", "c"])[1], "x")
