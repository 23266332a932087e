from __future__ import annotations

import pytest
from evaluation_frames import boxes, truth

from awml_deploy_core.errors import EvaluationError, ParameterError
from awml_deploy_core.evaluation import Counts, PrecisionRecall, match_frame

CAR, TRUCK, PEDESTRIAN = range(3)


def test_best_score_takes_the_nearest_box_first() -> None:
    there = truth(boxes([[0, 0], [3, 0]]))
    match = match_frame(boxes([[1, 0], [0, 0], [9, 0]], scores=[0.9, 0.8, 0.7]), there)
    # The second is exactly on the first box, which is taken; the other one is too far.
    assert match.matched.tolist() == [0, -1, -1]
    assert match.false_positives.tolist() == [False, True, True]
    assert match.missed.tolist() == [False, True]
    assert match.total == Counts.of(1, 2, 1)


def test_order_of_detections_does_not_matter() -> None:
    there = truth(boxes([[0, 0], [3, 0]]))
    match = match_frame(boxes([[0, 0], [9, 0], [1, 0]], scores=[0.8, 0.7, 0.9]), there)
    assert match.matched.tolist() == [-1, -1, 0]


def test_a_match_is_nearer_than_the_distance() -> None:
    there = truth(boxes([[0, 0]]))
    assert match_frame(boxes([[2, 0]]), there, max_distance=2.0).matched.tolist() == [-1]
    assert match_frame(boxes([[2, 0]]), there, max_distance=2.1).matched.tolist() == [0]


def test_detections_below_the_score_do_not_count() -> None:
    found = boxes([[0, 0], [5, 0]], scores=[0.5, 0.49])
    match = match_frame(found, truth(boxes([[0, 0], [5, 0]])), min_score=0.5)
    assert match.matched.tolist() == [0, -1]
    assert match.considered.tolist() == [True, False]
    assert match.total == Counts.of(1, 0, 1)


def test_classes_are_matched_by_name_or_not_at_all() -> None:
    found = boxes([[0, 0], [5, 0]], [0, 1], [0.9, 0.8], classes=("CAR", "TRAILER"))
    there = truth(boxes([[0, 0], [5, 0], [9, 0]], [1, 0, 0], classes=("TRUCK", "CAR")))
    match = match_frame(found, there)
    assert match.matched.tolist() == [0, -1]
    # What only one side knows is neither right nor wrong.
    assert match.counts == {"CAR": Counts.of(1, 0, 0)}
    assert match.considered.tolist() == [True, False]
    assert match.missed.tolist() == [False, False, False]
    anyhow = match_frame(found, there, by_class=False)
    assert anyhow.matched.tolist() == [0, 1]
    assert anyhow.counts == {
        "CAR": Counts.of(1, 0, 0),
        "TRAILER": Counts.of(0, 0, 0),
        "TRUCK": Counts.of(1, 0, 1),
    }


def test_another_class_is_no_match() -> None:
    match = match_frame(boxes([[0, 0]], [TRUCK]), truth(boxes([[0, 0]], [PEDESTRIAN])))
    assert match.matched.tolist() == [-1]
    assert match.counts["TRUCK"] == Counts.of(0, 1, 0)
    assert match.counts["PEDESTRIAN"] == Counts.of(0, 0, 1)


def test_frames_add_up() -> None:
    there = truth(boxes([[0, 0], [9, 0]], [CAR, TRUCK]))
    matches = [
        match_frame(boxes([[0, 0], [5, 0]], scores=[0.9, 0.8]), there),
        match_frame(boxes([]), there),
    ]
    result = PrecisionRecall.of(matches)
    assert result.total == Counts.of(1, 1, 3)
    assert (result.total.precision, result.total.recall) == (0.5, 0.25)
    assert result.classes["TRUCK"] == Counts.of(0, 0, 2)
    assert (result.classes["TRUCK"].precision, result.classes["TRUCK"].recall) == (None, 0)
    assert result.classes["PEDESTRIAN"].recall is None
    assert result.summary() == (
        "at 2 m, score 0: precision 0.500 (1 of 2 detections), recall 0.250 (1 of 4 boxes) in 2 frames"
    )
    assert PrecisionRecall.model_validate_json(result.model_dump_json()) == result


def test_nothing_to_count_is_refused() -> None:
    empty = match_frame(boxes([]), truth(boxes([])))
    with pytest.raises(EvaluationError, match="none to evaluate"):
        PrecisionRecall.of([])
    with pytest.raises(EvaluationError, match="there is none in 1 frames"):
        PrecisionRecall.of([empty])
    with pytest.raises(EvaluationError, match="different ways"):
        PrecisionRecall.of([empty, match_frame(boxes([]), truth(boxes([])), min_score=0.3)])


def test_impossible_limits_are_refused() -> None:
    there = truth(boxes([]))
    with pytest.raises(ParameterError, match="max_distance"):
        match_frame(boxes([]), there, max_distance=float("nan"))
    with pytest.raises(ParameterError, match="min_score"):
        match_frame(boxes([]), there, min_score=float("nan"))
