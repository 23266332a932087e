"""What is evaluated, what is left out and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evaluation_frames import CLASSES, boxes, frame, truth

from awml_deploy_core.errors import EvaluationError, ParameterError
from awml_deploy_core.evaluation import (
    DetectionMetricSettings,
    EvaluatedFrame,
    evaluate_detections,
    filter_frame,
)

CAR, TRUCK, PEDESTRIAN = range(3)


def test_a_class_without_ground_truth_is_not_evaluated() -> None:
    found = boxes([[5, 0], [9, 0]], [CAR, TRUCK])
    metrics = evaluate_detections([frame(found, boxes([[5, 0]]))])
    car, truck, pedestrian = metrics.classes
    assert (car.num_gt, car.num_predictions, car.mean_ap) == (1, 1, pytest.approx(1))
    assert (truck.num_gt, truck.num_predictions, truck.mean_ap, truck.ap, truck.errors) == (
        *(0, 1),
        *(None, None, None),
    )
    assert pedestrian.num_predictions == 0
    assert metrics.mean_ap == pytest.approx(1)
    assert (metrics.num_gt, metrics.num_predictions) == (1, 2)


def test_a_class_without_detections_counts_as_nuscenes_has_it() -> None:
    metrics = evaluate_detections([frame(boxes([]), boxes([[5, 0]]))])
    assert metrics.mean_ap == 0
    assert metrics.errors is not None
    assert (metrics.errors.ate, metrics.errors.ave, metrics.errors.measured) == (1, 1, False)
    assert metrics.nds_without_attributes == 0


def test_classes_of_one_side_only_are_left_out_and_named() -> None:
    found = boxes([[5, 0], [9, 0]], [0, 1], classes=("CAR", "TRAILER"))
    there = boxes([[5, 0], [20, 0], [22, 0]], [1, 0, 0], classes=("ANIMAL", "CAR", "BUS"))
    metrics = evaluate_detections([frame(found, there)])
    assert [entry.name for entry in metrics.classes] == ["CAR"]
    assert metrics.mean_ap == pytest.approx(1)
    assert metrics.left_out.detections_of_unknown_class == {"TRAILER": 1}
    assert metrics.left_out.ground_truth_of_unknown_class == {"ANIMAL": 2, "BUS": 0}


def test_limits_of_range_hold_for_both_sides_and_by_class() -> None:
    there = boxes([[5, 0], [30, 0], [50, 0]], [CAR, PEDESTRIAN, CAR])
    limits = DetectionMetricSettings(max_distance={"PEDESTRIAN": 30.0}, default_max_distance=50.0)
    metrics = evaluate_detections([frame(replace(there, scores=there.scores / 2), there)], limits)
    assert (metrics.num_gt, metrics.num_predictions) == (1, 1)
    assert metrics.left_out.ground_truth_out_of_range == {"CAR": 1, "PEDESTRIAN": 1}
    assert metrics.left_out.detections_out_of_range == {"CAR": 1, "PEDESTRIAN": 1}


def test_ground_truth_without_points_is_left_out() -> None:
    there = truth(boxes([[5, 0], [15, 0], [25, 0], [35, 0]]), [0, 1, 5, -1])
    found = boxes([[15, 0], [25, 0], [35, 0]])
    metrics = evaluate_detections([frame(found, there)])
    assert (metrics.num_gt, metrics.mean_ap) == (3, pytest.approx(1))
    assert metrics.left_out.ground_truth_without_points == {"CAR": 1}
    strict = DetectionMetricSettings(min_points=5)
    assert evaluate_detections([frame(found, there)], strict).num_gt == 2
    assert len(filter_frame(frame(found, there), strict).ground_truth) == 2


def test_ranges_follow_the_ground_truth() -> None:
    """A detection across the border is matched in its ground truth's range and an error of neither."""
    there = boxes([[19.5, 0], [40.5, 0]])
    found = boxes([[20.3, 0], [39.9, 0], [5, 0], [100, 0]], scores=[0.9, 0.8, 0.7, 0.6])
    near, middle, far, beyond = evaluate_detections([frame(found, there)]).by_range
    assert (near.near, near.far, beyond.near, beyond.far) == (0, 20, 60, None)
    assert [(part.num_gt, part.num_predictions) for part in (near, middle, far, beyond)] == [
        *((1, 2), (0, 0), (1, 1), (0, 1)),
    ]
    assert middle.mean_ap is None
    assert beyond.mean_ap is None
    assert beyond.errors is None
    ap = far.classes[0].ap
    assert ap is not None
    # 0.6 m off: no match below that.
    assert ap == {0.5: 0, 1.0: pytest.approx(1), 2.0: pytest.approx(1), 4.0: pytest.approx(1)}


def test_models_without_velocity_have_no_velocity_error_and_no_nds() -> None:
    there = boxes([[5, 0]])
    metrics = evaluate_detections([frame(replace(there, has_velocity=False), there)])
    assert metrics.errors is not None
    assert metrics.errors.ave is None
    assert metrics.errors.ate == 0
    assert metrics.nds_without_attributes is None
    assert metrics.nds_with_attribute_error_of_one is None
    assert metrics.nds_missing_because == "the model has no velocities"


@pytest.mark.parametrize(
    "column", [{"velocities": np.full((1, 2), np.nan, np.float32)}, {"has_velocity": False}]
)
def test_ground_truth_without_velocity_gives_no_velocity_error(column: dict[str, Any]) -> None:
    metrics = evaluate_detections([frame(boxes([[5, 0]]), boxes([[5, 0]], **column))])
    assert metrics.errors is not None
    assert metrics.errors.ave is None
    assert metrics.nds_missing_because == "the ground truth has no velocities"


def test_half_a_turn_matters_unless_the_class_says_otherwise() -> None:
    there = boxes([[5, 0]])
    frames = [frame(replace(there, yaws=np.array([np.pi], np.float32)), there)]
    for names, error in (((), np.pi), (("CAR",), 0.0)):
        metrics = evaluate_detections(frames, DetectionMetricSettings(half_turn_classes=names))
        assert metrics.errors is not None
        assert metrics.errors.aoe == pytest.approx(error, abs=1e-6)


def broken(**columns: Any) -> EvaluatedFrame:
    return frame(boxes([[5, 0]], **columns), boxes([[5, 0]]))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "none to evaluate"),
        ([frame(boxes([[5, 0]]), boxes([]))], "none is left to evaluate in 1 frames"),
        ([frame(boxes([]), truth(boxes([[5, 0]]), [0]))], "ground truth without points: CAR 1"),
        ([frame(boxes([]), boxes([[5, 0]]))] * 2, "occurs twice"),
        (
            [frame(boxes([]), boxes([[5, 0]])), frame(boxes([], classes=("CAR",)), boxes([]), "1")],
            "frame 1: detections: class names: differ",
        ),
        (
            [frame(boxes([]), boxes([[5, 0]])), frame(boxes([]), boxes([], classes=("CAR",)), "1")],
            "frame 1: ground truth: class names: differ",
        ),
        (
            [frame(boxes([]), boxes([[5, 0]])), frame(boxes([], has_velocity=False), boxes([]), "1")],
            "has_velocity: differs",
        ),
        ([frame(boxes([]), boxes([[5, 0]], classes=("car",)))], "none in common"),
        ([broken(scores=[np.nan])], "detections.scores: box 0 has an impossible value"),
        ([broken(sizes=np.zeros((1, 3), np.float32))], "finite, positive sizes"),
        ([broken(velocities=np.full((1, 2), np.inf, np.float32))], "detections.velocities"),
        ([frame(boxes([]), boxes([[np.nan, 0]]))], "ground truth.centers"),
    ],
)
def test_what_says_nothing_is_refused(frames: list[EvaluatedFrame], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate_detections(frames)


@pytest.mark.parametrize(
    "values",
    [
        {"thresholds": ()},
        {"thresholds": (1.0, 0.5)},
        {"thresholds": (-1.0, 2.0)},
        {"tp_threshold": 3.0},
        {"min_recall": 1.0},
        {"min_precision": 1.0},
        {"max_distance": {"CAR": 0.0}},
        {"default_max_distance": -1.0},
        {"range_borders": (20.0, 20.0)},
        {"range_borders": (float("inf"),)},
        {"range_borders": (float("nan"),)},
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(values))):
        DetectionMetricSettings(**values)


@pytest.mark.parametrize("values", [{"max_distance": {"CARS": 9.0}}, {"half_turn_classes": ("CARS",)}])
def test_settings_of_unknown_classes_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="did you mean CAR"):
        evaluate_detections([frame(boxes([]), boxes([[5, 0]]))], DetectionMetricSettings(**values))


def test_classes_keep_the_order_of_the_model() -> None:
    metrics = evaluate_detections([frame(boxes([]), boxes([[5, 0]], classes=CLASSES[::-1]))])
    assert tuple(entry.name for entry in metrics.classes) == CLASSES
