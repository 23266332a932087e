from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from awml_deploy_core.classification import Classification
from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.errors import TensorMismatchError
from awml_deploy_core.verification.comparators import (
    ClassificationComparator,
    Detections2DComparator,
    ResultComparator,
    compare_results,
)
from awml_deploy_core.verification.tolerances import (
    DEFAULTS,
    Box2dLimits,
    ClassificationLimits,
    Tolerances,
)

BOXES = np.array([[0, 0, 10, 10], [2, 2, 12, 12], [50, 50, 80, 90]], np.float32)


def detections(shift: float = 0.0, score: float = 0.9, order: tuple[int, ...] = (0, 1, 2)) -> Detections2D:
    rows = list(order)
    labels = np.array([0, 0, 1], np.int32)[rows]
    return Detections2D(
        BOXES[rows] + np.float32(shift), np.full(len(rows), score, np.float32), labels, ("a", "b")
    )


def test_order_of_boxes_does_not_matter() -> None:
    found = Detections2DComparator().compare(detections(), detections(0.1, order=(2, 1, 0)))
    assert found
    assert found.details["matched"] == 3
    assert found.details["worst"]["corner"] == pytest.approx(0.1, abs=1e-5)


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        (detections(0.6), "corner of 3 boxes differs by up to 0.6, limit 0.5 px"),
        (detections(score=0.8), "score of 3 boxes differs"),
        (detections(order=(0, 2)), "1 of 3 reference boxes and 0 of 2 test boxes"),
        (detections(order=(0, 1, 2, 2)), "0 of 3 reference boxes and 1 of 4 test boxes"),
        (Detections2D.empty(("a", "c")), "class names"),
    ],
)
def test_differences_of_boxes(test: Detections2D, problem: str) -> None:
    found = Detections2DComparator().compare(detections(), test)
    assert not found
    assert problem in found.message()


def test_boxes_without_area_are_matched() -> None:
    flat = Detections2D(
        np.array([[3, 4, 9, 4]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ("a", "b")
    )
    assert Detections2DComparator().compare(flat, flat)


def test_nothing_on_either_side_says_nothing() -> None:
    empty = Detections2D.empty(("a", "b"))
    assert Detections2DComparator().compare(empty, empty).is_empty


def test_classifications() -> None:
    def of(p: float) -> Classification:
        return Classification(np.array([1 - p, p], np.float32), ("bad", "good"))

    compare = ClassificationComparator().compare
    assert compare(of(0.7), of(0.7005))
    assert "probability differs" in compare(of(0.7), of(0.71)).message()
    assert "class is bad, reference good" in compare(of(0.5004), of(0.4996)).message()


def test_limits_grow_with_the_box_and_with_their_number() -> None:
    limits = Box2dLimits(corner=0.5, corner_relative=0.02, max_unmatched_share=0.4)
    compare = Detections2DComparator(limits).compare
    # Only the longest side of the third box, 40 px, allows as much.
    found = compare(detections(), detections(0.7))
    assert "corner of 2 boxes" in found.message()
    assert "0.5 px or 2.0% of the side" in found.message()
    assert compare(detections(), detections(order=(0, 2)))
    assert "limit 1" in compare(detections(), detections(order=(2,))).message()


def test_pair_that_is_too_far_apart_is_two_boxes_without_a_partner() -> None:
    test = detections()
    moved = replace(test, boxes=test.boxes + np.array([[0], [1], [0]], np.float32))
    assert "corner of 1 boxes" in Detections2DComparator().compare(test, moved).message()
    found = Detections2DComparator(Box2dLimits(max_unmatched=1)).compare(test, moved)
    assert found.message() == "2 boxes matched one to one, corners within 0.00e+00 px, 1 without a partner"
    assert [len(found.details[side]) for side in ("only_in_reference", "only_in_test")] == [1, 1]
    lone = replace(moved, boxes=moved.boxes[:2], scores=moved.scores[:2], labels=moved.labels[:2])
    assert not Detections2DComparator(Box2dLimits(max_unmatched=1)).compare(test, lone)


def test_a_tie_is_a_class_of_either_side_where_that_is_allowed() -> None:
    def of(p: float) -> Classification:
        return Classification(np.array([1 - p, p], np.float32), ("bad", "good"))

    compare = ClassificationComparator(ClassificationLimits(0.05, same_class=False)).compare
    found = compare(of(0.51), of(0.49))
    assert found
    assert "class is bad, reference good by rounding" in found.message()
    assert "class is bad, reference good" in compare(of(0.53), of(0.47)).message()


def test_a_family_compares_its_own_results() -> None:
    class Family:
        def output_comparator(self, tolerances: Tolerances) -> ResultComparator:
            assert tolerances.precision == "fp16"
            return ResultComparator({str: ClassificationComparator()})

    own = compare_results(DEFAULTS["fp16"], Family())  # type: ignore[arg-type]
    assert isinstance(own, ResultComparator)
    assert set(own.comparators) == {str}


def test_comparator_follows_from_the_type() -> None:
    comparator = ResultComparator({Detections2D: Detections2DComparator()})
    assert comparator.compare(detections(), detections())
    assert "is a str" in comparator.compare(detections(), "boxes").message()
    with pytest.raises(TensorMismatchError, match="cannot be compared"):
        comparator.compare("boxes", detections())
