import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.errors import InferenceError, TensorMismatchError
from awml_deploy_core.runtime import Availability, check_inputs, check_outputs


def test_inputs_that_satisfy_the_spec_pass(mlp_spec: ComponentSpec) -> None:
    check_inputs(mlp_spec, {"input_features": np.zeros((5, 8, 9), np.float32), "unused": np.zeros(1)})


def test_every_offending_input_is_listed(conv_spec: ComponentSpec, mlp_spec: ComponentSpec) -> None:
    both = ComponentSpec("both", "both.onnx", (*conv_spec.inputs, *mlp_spec.inputs), ())
    with pytest.raises(TensorMismatchError, match="inputs of both") as caught:
        check_inputs(both, {"input_features": np.zeros((0, 8, 9), np.float32)})
    assert caught.value.problems == (
        "canvas is missing (given: input_features)",
        "input_features: axis 0 is 0, expected num_voxels[1..100..1000]",
    )


def test_outputs_are_keyed_by_the_spec_s_names(conv_spec: ComponentSpec) -> None:
    values = [np.zeros((1, 3, 8, 6), np.float32), np.ones((1, 2, 16, 12), np.float32)]
    named = check_outputs(conv_spec, values)
    assert list(named) == ["heatmap", "reg"]
    assert named["reg"] is values[1]


def test_every_offending_output_is_listed(conv_spec: ComponentSpec) -> None:
    with pytest.raises(InferenceError, match="outputs of head") as caught:
        check_outputs(conv_spec, [np.zeros((1, 3, 8, 5), np.float32), np.zeros((1, 2, 16, 12))])
    assert caught.value.problems == (
        "heatmap: axis 3 is 5, expected 6 (shape [1, 3, 8, 6])",
        "reg: dtype float64, expected float32",
    )
    with pytest.raises(InferenceError, match="1 tensors, expected 2"):
        check_outputs(conv_spec, [np.zeros((1, 3, 8, 6), np.float32)])


def test_availability_is_true_or_false() -> None:
    assert Availability(True, "here")
    assert not Availability(False, "not here", "pip install it")
