from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.detections import Detections
from awml_deploy_core.verification import BoxLimits, DetectionsComparator
from awml_deploy_core.verification.matching import angle_difference, match_boxes

CLASSES = ("CAR", "BICYCLE")
COMPARATOR = DetectionsComparator()
LIMITS = BoxLimits()


TWO = [(0.0, 0.0, 0.0), (9.0, 0.0, 0.0)]


def boxes(
    at: list[tuple[float, float, float]], labels: list[int] | None = None, **changes: object
) -> Detections:
    n = len(at)
    arrays: dict[str, np.ndarray] = {
        "centers": np.array(at, np.float32).reshape(n, 3),
        "sizes": np.full((n, 3), 2, np.float32),
        "yaws": np.zeros(n, np.float32),
        "velocities": np.zeros((n, 2), np.float32),
        "scores": np.full(n, 0.5, np.float32),
        "labels": np.array(labels or [0] * n, np.int32),
    }
    arrays.update({key: np.asarray(value, arrays[key].dtype) for key, value in changes.items()})
    return Detections(**arrays, class_names=CLASSES)


@given(st.integers(0, 30), st.randoms(use_true_random=False))
def test_order_does_not_matter(count: int, random: object) -> None:
    centers = [(3.0 * i, 0.0, 0.0) for i in range(count)]
    order = list(range(count))
    random.shuffle(order)  # type: ignore[attr-defined]
    reference = boxes(centers, [i % 2 for i in range(count)])
    test = reference.select(np.array(order, np.int64))
    found = match_boxes(reference, test, LIMITS)
    assert [order[j] for _, j in found.pairs] == [i for i, _ in found.pairs] == list(range(count))
    assert not found.lone_reference
    assert not found.lone_test
    assert COMPARATOR.compare(reference, test)


def test_matching_is_one_to_one_and_takes_the_nearest() -> None:
    reference = boxes([(0, 0, 0), (0.3, 0, 0)])
    found = match_boxes(reference, boxes([(0.31, 0, 0)]), LIMITS)
    assert found.pairs == ((1, 0),)
    assert found.lone_reference == (0,)


def test_classes_do_not_match_each_other() -> None:
    comparison = COMPARATOR.compare(boxes([(0, 0, 0)], [0]), boxes([(0, 0, 0)], [1]))
    assert comparison.message() == "1 of 1 reference boxes and 1 of 1 test boxes have no partner"
    assert comparison.details["only_in_reference"][0]["class"] == "CAR"
    assert comparison.details["only_in_test"][0]["class"] == "BICYCLE"


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"centers": [[0.02, 0, 0], [9, 0, 0]]}, "position"),
        ({"sizes": [[2, 2, 2.02], [2, 2, 2]]}, "size"),
        ({"yaws": [0.02, 0]}, "yaw"),
        ({"velocities": [[0, 0.1], [0, 0]]}, "velocity"),
        ({"scores": [0.51, 0.5]}, "score"),
    ],
)
def test_every_figure_has_a_limit(change: dict[str, object], figure: str) -> None:
    comparison = COMPARATOR.compare(boxes(TWO), boxes(TWO, **change))
    assert not comparison
    assert comparison.failures[0].startswith(f"{figure} of 1 boxes differs")
    assert len(comparison.failures) == 1


def test_heading_wraps_at_a_full_turn_but_not_at_half() -> None:
    near_pi = boxes([(0, 0, 0)], yaws=[math.pi - 0.001])
    assert COMPARATOR.compare(near_pi, boxes([(0, 0, 0)], yaws=[-math.pi + 0.001]))
    turned = COMPARATOR.compare(near_pi, boxes([(0, 0, 0)], yaws=[-0.001]))
    assert turned.message() == "1 boxes head the other way, limit 0"
    assert turned.details["worst"]["yaw"] < 1e-6


@given(st.floats(-20, 20), st.floats(-20, 20), st.integers(-3, 3))
def test_angle_difference_is_symmetric_periodic_and_bounded(a: float, b: float, turns: int) -> None:
    difference = angle_difference(np.array(a), np.array(b))
    assert 0 <= difference <= math.pi + 1e-12
    assert difference == pytest.approx(float(angle_difference(np.array(b), np.array(a))))
    shifted = angle_difference(np.array(a + turns * 2 * math.pi), np.array(b))
    assert difference == pytest.approx(float(shifted), abs=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"centers": [[np.nan, 0, 0], [9, 0, 0]]},
        {"yaws": [np.nan, 0]},
        {"sizes": [[2, np.inf, 2], [2, 2, 2]]},
    ],
)
def test_a_box_that_is_not_finite_has_no_partner(change: dict[str, object]) -> None:
    broken = boxes(TWO, **change)
    assert "1 of 2 test boxes have no partner" in COMPARATOR.compare(boxes(TWO), broken).message()


def test_unmatched_boxes_are_allowed_only_when_asked() -> None:
    reference, test = boxes([(0, 0, 0), (9, 0, 0)]), boxes([(0, 0, 0)])
    assert not COMPARATOR.compare(reference, test)
    comparison = DetectionsComparator(BoxLimits(max_unmatched=1)).compare(reference, test)
    assert comparison
    assert len(comparison.details["only_in_reference"]) == 1


def test_empty_outputs_agree_and_say_that_they_are_empty() -> None:
    empty = Detections.empty(CLASSES)
    comparison = COMPARATOR.compare(empty, empty)
    assert comparison
    assert comparison.is_empty
    assert comparison.message() == "neither side has a box"
    assert not COMPARATOR.compare(empty, boxes([(0, 0, 0)])).is_empty


def test_other_class_names_fail() -> None:
    comparison = COMPARATOR.compare(Detections.empty(CLASSES), Detections.empty(("CAR",)))
    assert "class names" in comparison.message()


def test_velocities_on_one_side_only_fail() -> None:
    with_velocity = Detections.empty(CLASSES)
    without = Detections.empty(CLASSES, has_velocity=False)
    assert "without velocities" in COMPARATOR.compare(with_velocity, without).message()


def test_boxes_at_one_place_that_do_not_overlap_enough_are_not_the_same() -> None:
    turned = boxes([(0, 0, 0)], sizes=[[8, 1, 2]])
    comparison = COMPARATOR.compare(turned, boxes([(0, 0, 0)], sizes=[[8, 1, 2]], yaws=[math.pi / 2]))
    (lone,) = comparison.details["only_in_reference"]
    assert lone["why"] == "their overlap is 0.07, limit 0.7"


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (boxes([(0.8, 0, 0)]), "it is 0.80 m away, limit 0.5 m"),
        (boxes([(0, 0, 0)], [1]), "it is of another class"),
        (boxes([]), "the other side has no box"),
    ],
)
def test_evidence_names_the_nearest_candidate_and_why_it_is_not_the_partner(
    other: Detections, why: str
) -> None:
    comparison = COMPARATOR.compare(boxes([(0, 0, 0)]), other)
    (lone,) = comparison.details["only_in_reference"]
    assert lone["why"] == why
    assert lone["center"] == [0, 0, 0]
    assert (lone["nearest"] is None) == (not len(other))


def test_evidence_of_a_box_whose_place_is_taken() -> None:
    comparison = COMPARATOR.compare(boxes([(0, 0, 0), (0.2, 0, 0)]), boxes([(0.01, 0, 0)]))
    (lone,) = comparison.details["only_in_reference"]
    assert lone["why"] == "it belongs to a nearer box"
    assert comparison.details["coverage"] == 0.5
