from __future__ import annotations

import pytest
import yaml
from engine_builds import ENCODER
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.config.tensorrt_schema import TensorRTSection
from awml_deploy_core.runtime.binding import GraphTensor
from awml_deploy_core.runtime.trt.profiles import example_configuration, resolve_profile
from awml_deploy_core.runtime.trt.settings import ShapeRange

GRAPH = [GraphTensor("input_features", "float32", ("num_voxels", 8, 9))]
DECLARED = ShapeRange((1, 8, 9), (100, 8, 9), (1000, 8, 9))


def problems(graph: list[GraphTensor], **configured: ShapeRange) -> list[str]:
    return resolve_profile(ENCODER, graph, configured)[1]


def test_the_declared_axes_are_the_profile() -> None:
    assert resolve_profile(ENCODER, GRAPH, {}) == ({"input_features": DECLARED}, [])


def test_a_foreign_name_is_matched_by_position() -> None:
    graph = [GraphTensor("voxels", "float32", (None, 8, 9))]
    assert resolve_profile(ENCODER, graph, {}) == ({"voxels": DECLARED}, [])


def test_a_configured_profile_wins() -> None:
    chosen = ShapeRange((1, 8, 9), (400, 8, 9), (2000, 8, 9))
    assert resolve_profile(ENCODER, GRAPH, {"input_features": chosen}) == ({"input_features": chosen}, [])


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (ShapeRange((1, 8), (2, 8), (3, 8)), "min [1, 8] has rank 2, the graph's is 3"),
        (ShapeRange((1, 8, 9), (2000, 8, 9), (1000, 8, 9)), "axis 0 has min 1, opt 2000, max 1000"),
        (ShapeRange((0, 8, 9), (1, 8, 9), (1000, 8, 9)), "expected 1 <= min <= opt <= max"),
        (ShapeRange((1, 8, 10), (100, 8, 10), (1000, 8, 10)), "axis 2 is fixed at 9 in the graph"),
        (ShapeRange((1, 8, 9), (50, 8, 9), (500, 8, 9)), "frames beyond the profile could not run"),
        (ShapeRange((7, 8, 9), (50, 8, 9), (1000, 8, 9)), "but the model's is num_voxels[1..100..1000]"),
    ],
)
def test_a_wrong_profile_is_named(chosen: ShapeRange, text: str) -> None:
    problem = problems(GRAPH, input_features=chosen)[0]
    assert problem.startswith("encoder.input_features: ")
    assert text in problem


def test_an_unknown_input_is_named_with_what_was_meant() -> None:
    (problem,) = problems(GRAPH, input_feature=DECLARED)
    assert problem == "encoder.input_feature: is no input of the graph (did you mean input_features?)"


def test_graphs_that_contradict_the_component() -> None:
    fixed = GraphTensor("input_features", "float32", (40, 8, 9))
    assert "axis 0 is fixed at 40 in the graph, expected num_voxels" in problems([fixed])[0]
    wide = GraphTensor("input_features", "float32", ("n", 8, 10))
    assert problems([wide]) == ["encoder.input_features: axis 2 is 10 in the graph, expected 9"]
    flat = GraphTensor("input_features", "float32", ("n", 8))
    assert "has rank 2 in the graph" in problems([flat])[0]
    assert problems([]) == ["encoder.input_features: is missing in the graph"]


def test_a_dynamic_axis_without_a_profile() -> None:
    extra = GraphTensor("mask", "float32", ("batch", 4))
    assert problems([*GRAPH, extra]) == ["encoder.mask: axis 0 (batch) is dynamic and has no profile"]
    given_range = ShapeRange((1, 4), (2, 4), (3, 4))
    assert problems([*GRAPH, extra], mask=given_range) == []


def test_every_problem_is_listed() -> None:
    wrong = ShapeRange((5, 8, 10), (4, 8, 10), (3, 8, 10))
    assert len(problems(GRAPH, input_features=wrong, other=wrong)) == 3


def test_the_example_is_a_configuration_that_is_right() -> None:
    section = yaml.safe_load(example_configuration([ENCODER]))["export"]["tensorrt"]
    settings = TensorRTSection.model_validate(section).settings()
    assert resolve_profile(ENCODER, GRAPH, settings.profiles["encoder"]) == (
        {"input_features": DECLARED},
        [],
    )


@given(low=st.integers(-2, 1200), opt=st.integers(-2, 1200), high=st.integers(-2, 1200))
def test_a_profile_is_right_if_it_is_ordered_and_covers_the_model(low: int, opt: int, high: int) -> None:
    chosen = ShapeRange((low, 8, 9), (opt, 8, 9), (high, 8, 9))
    right = low == 1 and low <= opt <= high and high >= 1000
    assert bool(problems(GRAPH, input_features=chosen)) is not right
