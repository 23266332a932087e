"""Boxes that rounding decides, told from boxes that a defect loses."""

from __future__ import annotations

from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import Candidates, SuppressionRule
from awml_deploy_core.verification import BoxLimits, DetectionsComparator, OutputComparison

RULES = (SuppressionRule("distance", 0.5), SuppressionRule("iou", 0.1))
MARGIN = 1e-4


def boxes(*rows: tuple[float, float], labels: tuple[int, ...] = (), size: float = 0.4) -> Detections:
    """Boxes at x with a score each."""
    n = len(rows)
    return Detections(
        np.array([(x, 0, 0) for x, _ in rows], np.float32).reshape(n, 3),
        np.full((n, 3), size, np.float32),
        np.zeros(n, np.float32),
        np.zeros((n, 2), np.float32),
        np.array([score for _, score in rows], np.float32),
        np.array(labels or [0] * n, np.int32),
        ("CAR", "BUS"),
    )


def candidates(found: Detections, narrow: dict[int, str] | None = None, **changes: Any) -> Candidates:
    reasons = tuple((narrow or {}).get(i, "") for i in range(len(found)))
    return Candidates(found, np.full(len(found), MARGIN), reasons, RULES, **changes)


def compare(
    sides: tuple[Detections, Detections], decoded: tuple[Candidates, Candidates], **limits: Any
) -> OutputComparison:
    return DetectionsComparator(BoxLimits(**limits)).compare(*sides, lambda: decoded)


def test_a_score_at_its_threshold_is_borderline() -> None:
    both, one = boxes((0, 0.9), (20, 0.35001)), boxes((0, 0.9))
    comparison = compare((both, one), (candidates(both, {1: "at its threshold"}), candidates(one)))
    assert comparison
    (found,) = comparison.details["borderline"]
    assert (found["side"], found["decision"]) == ("reference", "at its threshold")
    assert comparison.details["matched"] == 1
    assert "1 borderline" in comparison.message()


def test_a_box_that_only_one_side_decodes_is_a_failure() -> None:
    both, one = boxes((0, 0.9), (20, 0.8)), boxes((0, 0.9))
    comparison = compare((both, one), (candidates(both), candidates(one)))
    assert not comparison
    (lone,) = comparison.details["only_in_reference"]
    assert lone["decision"] == "the test decodes no such box"


def test_without_candidates_nothing_is_borderline() -> None:
    assert not DetectionsComparator().compare(boxes((0, 0.9), (20, 0.35001)), boxes((0, 0.9)))


def test_scores_that_tie_may_let_either_box_stay() -> None:
    decoded = boxes((0, 0.8), (0.3, 0.79999))
    sides = boxes((0, 0.8)), boxes((0.3, 0.79999))
    comparison = compare(sides, (candidates(decoded), candidates(decoded)))
    assert comparison
    assert len(comparison.details["borderline"]) == 2
    assert "ties with" in comparison.details["borderline"][0]["decision"]


def test_a_clear_winner_that_loses_is_a_failure() -> None:
    decoded = boxes((0, 0.8), (0.3, 0.6))
    sides = boxes((0, 0.8)), boxes((0.3, 0.6))
    comparison = compare(sides, (candidates(decoded), candidates(decoded)))
    assert not comparison
    assert "rounding does not explain" in comparison.details["only_in_reference"][0]["decision"]


def test_what_a_borderline_box_suppressed_is_borderline() -> None:
    reference, test = boxes((0, 0.3501)), boxes((0.3, 0.34))
    decoded = boxes((0, 0.3501), (0.3, 0.34))
    comparison = compare(
        (reference, test),
        (candidates(decoded, {0: "at its threshold"}), candidates(decoded, {0: "at its threshold"})),
    )
    assert comparison
    reasons = {item["side"]: item["decision"] for item in comparison.details["borderline"]}
    assert reasons["reference"] == "at its threshold"
    assert "borderline itself" in reasons["test"]


def test_a_distance_on_either_side_of_the_suppression_threshold_is_borderline() -> None:
    reference, test = boxes((0, 0.9), (0.50001, 0.6)), boxes((0, 0.9))
    comparison = compare(
        (reference, test), (candidates(reference), candidates(boxes((0, 0.9), (0.49999, 0.6))))
    )
    assert comparison
    assert "on either side of the threshold 0.5" in comparison.details["borderline"][0]["decision"]


def test_a_full_output_may_leave_out_either_of_two_that_tie() -> None:
    decoded = boxes((0, 0.9), (20, 0.5), (40, 0.49999))
    sides = decoded.select(np.array([0, 1])), decoded.select(np.array([0, 2]))
    assert compare(sides, (candidates(decoded, max_boxes=2), candidates(decoded, max_boxes=2)))
    assert not compare(sides, (candidates(decoded), candidates(decoded)))


def test_too_many_borderline_boxes_fail() -> None:
    many = boxes(*((20.0 * i, 0.35) for i in range(10)))
    none = boxes()
    narrow = dict.fromkeys(range(10), "at its threshold")
    comparison = compare((many, none), (candidates(many, narrow), candidates(none)), max_borderline=0.5)
    assert comparison.message() == "10 boxes are borderline, limit 5"
    few = compare(
        (many, many.select(np.arange(5))),
        (candidates(many, narrow), candidates(many.select(np.arange(5)))),
        max_borderline=0.5,
    )
    assert few


def test_half_of_a_pair_that_differs_is_no_excuse() -> None:
    reference, test = boxes((0, 0.8), size=2), boxes((0.1, 0.8), size=2)
    comparison = compare(
        (reference, test), (candidates(reference, {0: "at its threshold"}), candidates(test))
    )
    assert "position of 1 boxes differs" in comparison.message()
