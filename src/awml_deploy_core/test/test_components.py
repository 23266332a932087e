import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.components import (
    ComponentSpec,
    DynamicAxis,
    ExportableComponent,
    SimpleComponentExtractor,
    TensorSpec,
)
from awml_deploy_core.errors import TensorMismatchError

N = DynamicAxis("n", 1, 4, 8)


@pytest.mark.parametrize("bounds", [(0, 1, 1), (2, 1, 3), (1, 4, 3)])
def test_axis_refuses_unordered_ranges(bounds: tuple[int, int, int]) -> None:
    with pytest.raises(TensorMismatchError, match="1 <= min <= opt <= max"):
        DynamicAxis("n", *bounds)


def test_spec_finds_its_dynamic_axes() -> None:
    assert TensorSpec("x", (N, 3, N)).dynamic_axes == {0: N, 2: N}


@given(st.integers(1, 8))
def test_every_length_in_range_fits(length: int) -> None:
    assert TensorSpec("x", (N, 3)).mismatch((length, 3), "float32") is None


@pytest.mark.parametrize("length", [0, 9])
def test_a_length_out_of_range_does_not(length: int) -> None:
    assert TensorSpec("x", (N, 3)).mismatch((length, 3)) == f"axis 0 is {length}, expected n[1..4..8]"


@pytest.mark.parametrize(
    ("shape", "dtype", "part"),
    [
        ((4, 3), "float64", "dtype float64, expected float32"),
        ((4, 3, 1), "float32", "rank 3 [4, 3, 1], expected [n[1..4..8], 3]"),
        ((4, 2), "float32", "axis 1 is 2, expected 3"),
        ((4, "c"), "float32", "axis 1 is c, expected 3"),
    ],
)
def test_mismatch_says_what_differs(shape: tuple[object, ...], dtype: str, part: str) -> None:
    assert part in (TensorSpec("x", (N, 3)).mismatch(shape, dtype) or "")


def test_a_symbolic_dimension_fits_a_dynamic_axis() -> None:
    assert TensorSpec("x", (N, 3)).mismatch(("batch", 3)) is None


def test_text_form_names_tensor_dtype_and_shape() -> None:
    assert str(TensorSpec("x", (N, 3))) == "x float32 [n[1..4..8], 3]"


def test_simple_extractor_makes_one_component_with_samples_of_the_optimal_shape() -> None:
    torch = pytest.importorskip("torch")
    spec = ComponentSpec(
        "model", "model.onnx", (TensorSpec("x", (N, 3), "int64"),), (TensorSpec("y", (N, 3)),)
    )
    module = torch.nn.Identity()

    (component,) = SimpleComponentExtractor(spec).extract(module)

    assert isinstance(component, ExportableComponent)
    assert component.module is module
    assert component.spec is spec
    (sample,) = component.sample_inputs
    assert sample.shape == (4, 3)
    assert sample.dtype == torch.int64
