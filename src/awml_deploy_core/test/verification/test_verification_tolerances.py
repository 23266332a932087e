from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from pydantic import ValidationError

from awml_deploy_core.config.verification import TensorTolerance, VerificationSection
from awml_deploy_core.verification.tolerances import DEFAULTS, PRECISIONS, coarsest, resolve


@pytest.mark.parametrize("precision", PRECISIONS)
def test_without_configuration_the_defaults_of_the_precision_apply(precision: str) -> None:
    assert resolve({}, precision) == DEFAULTS[precision]  # type: ignore[index, arg-type]


def test_coarser_precisions_allow_more() -> None:
    for finer, coarser in pairwise(PRECISIONS):
        a, b = DEFAULTS[finer].boxes, DEFAULTS[coarser].boxes
        for name in ("position", "size", "yaw", "velocity", "score", "max_borderline"):
            assert getattr(a, name) < getattr(b, name)
        assert a.min_iou >= b.min_iou
        images, others = DEFAULTS[finer].boxes2d, DEFAULTS[coarser].boxes2d
        for name in ("corner", "corner_relative", "score", "max_unmatched_share"):
            assert getattr(images, name) < getattr(others, name)
        assert DEFAULTS[finer].classification.probability < DEFAULTS[coarser].classification.probability


def test_what_is_configured_changes_its_precision_only() -> None:
    section = VerificationSection.model_validate(
        {
            "tolerances": {
                "fp16": {
                    "default": {"relative": 0.5},
                    "outputs": {"heatmap": {"max_abs": 1.0}},
                    "boxes": {"yaw": 0.7},
                    "boxes2d": {"corner": 9.0, "max_unmatched": 2},
                    "classification": {"same_class": True},
                }
            }
        }
    ).tolerances
    changed = resolve(section, "fp16")
    assert changed.of("reg") == TensorTolerance(relative=0.5)
    assert changed.of("heatmap") == TensorTolerance(max_abs=1.0)
    assert changed.boxes.yaw == 0.7
    assert changed.boxes.position == DEFAULTS["fp16"].boxes.position
    base = DEFAULTS["fp16"]
    assert changed.boxes2d == replace(base.boxes2d, corner=9.0, max_unmatched=2)
    assert changed.classification == replace(base.classification, same_class=True)
    assert resolve(section, "fp32") == DEFAULTS["fp32"]


def test_a_tolerance_that_limits_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one limit"):
        TensorTolerance()


def test_the_coarsest_precision_counts() -> None:
    assert coarsest(["fp32", "int8", "fp16"]) == "int8"
    assert coarsest([None, "bf12"]) == "fp32"
    assert coarsest([]) == "fp32"
