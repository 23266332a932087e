from __future__ import annotations

import numpy as np
import pytest

from awml_deploy_core.classification import Classification
from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.errors import TensorMismatchError
from awml_deploy_core.verification.comparators import (
    ClassificationComparator,
    Detections2DComparator,
    ResultComparator,
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
        (detections(0.6), "corner differs by up to 0.6"),
        (detections(score=0.8), "score differs"),
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


def test_comparator_follows_from_the_type() -> None:
    comparator = ResultComparator({Detections2D: Detections2DComparator()})
    assert comparator.compare(detections(), detections())
    assert "is a str" in comparator.compare(detections(), "boxes").message()
    with pytest.raises(TensorMismatchError, match="cannot be compared"):
        comparator.compare("boxes", detections())
