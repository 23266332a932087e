from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from awml_deploy_core.errors import ParameterError
from awml_extractors.centerpoint.class_remapper import AUTOWARE_RULES
from awml_extractors.centerpoint.options import PostprocessOptions

NAMES = ("CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN")


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -float("inf")])
@pytest.mark.parametrize(
    "change",
    [
        lambda v: {"distance_bin_upper_limits": (50.0, v)},
        lambda v: {"min_confidence_scores": {"CAR": (v,) * 4}},
        lambda v: {"default_score_threshold": v},
        lambda v: {"yaw_norm_thresholds": {"CAR": v}},
        lambda v: {"circle_nms_dist_threshold": v},
        lambda v: {"iou_nms_search_distance_2d": v},
        lambda v: {"iou_nms_threshold": v},
        lambda v: {"mmdet3d_score_threshold": v},
        lambda v: {"mmdet3d_min_radius": v},
    ],
)
def test_numbers_are_finite(change: Any, value: float) -> None:
    with pytest.raises(ParameterError):
        PostprocessOptions().merged(change(value), NAMES)


@pytest.mark.parametrize("key", ["yaw_norm_thresholds", "min_confidence_scores"])
def test_a_changed_threshold_names_a_class_of_the_model(key: str) -> None:
    value: Any = 0.9 if key == "yaw_norm_thresholds" else (0.9,) * 4
    with pytest.raises(ParameterError) as caught:
        PostprocessOptions().merged({key: {"CRA": value, "CAR": value}, "iou_nms_threshold": 7}, NAMES)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        f"{key}.CRA",
        "iou_nms_threshold",
    ]


def test_a_class_of_the_defaults_that_the_model_lacks_cannot_be_changed() -> None:
    with pytest.raises(ParameterError, match="BUS"):
        PostprocessOptions().merged({"yaw_norm_thresholds": {"BUS": 0.9}}, ("CAR",))


def test_an_unknown_option_says_what_was_meant() -> None:
    with pytest.raises(ParameterError) as caught:
        PostprocessOptions().merged({"iou_nms_treshold": 0.5}, NAMES)
    assert caught.value.problems == ("iou_nms_treshold: unknown key (did you mean iou_nms_threshold?)",)


def test_options_in_force_can_be_given_back() -> None:
    options = PostprocessOptions().merged({"default_score_threshold": 0.2}, ("CAR",))
    assert options.merged(options.model_dump(), ("CAR",)) == options


def test_classes_are_named_in_any_case() -> None:
    names = ("car", "pedestrian")
    options = PostprocessOptions().merged({"min_confidence_scores": {"CAR": (0.1, 0.2, 0.3, 0.4)}}, names)
    assert options.score_thresholds("car") == (0.1, 0.2, 0.3, 0.4)
    assert options.score_thresholds("pedestrian") == (0.35,) * 4
    assert (options.yaw_norm_threshold("car"), options.yaw_norm_threshold("pedestrian")) == (0.3, 0.0)
    changed = options.merged({"yaw_norm_thresholds": {"Car": 0.7}}, names)
    assert changed.yaw_norm_threshold("car") == 0.7
    assert changed.yaw_norm_threshold("TRUCK") == 0.3


def test_a_class_is_named_once() -> None:
    with pytest.raises(ValidationError, match="names CAR 2 times"):
        PostprocessOptions(yaw_norm_thresholds={"CAR": 0.1, "car": 0.2})


def test_a_pair_of_classes_has_one_rule() -> None:
    with pytest.raises(ValidationError, match="2 rules from CAR to TRUCK"):
        PostprocessOptions(class_remapper=AUTOWARE_RULES[:1] * 2)


@pytest.mark.parametrize(
    ("values", "applied"),
    [
        ({}, True),
        ({"remap_classes": False}, False),
        ({"decoder": "mmdet3d"}, False),
        ({"decoder": "mmdet3d", "remap_classes": True}, True),
        ({"class_remapper": []}, False),
    ],
)
def test_when_classes_are_remapped(values: dict[str, Any], applied: bool) -> None:
    assert bool(PostprocessOptions().merged(values, NAMES).remap_rules) is applied
