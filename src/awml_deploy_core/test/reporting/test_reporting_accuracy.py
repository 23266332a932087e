from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from rich.console import Console

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation import Counts, EvaluatedFrame
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.reporting import Report
from awml_deploy_core.reporting.accuracy import AccuracyLimits, accuracy_record
from awml_deploy_core.reporting.result import AccuracyRecord
from awml_deploy_core.reporting.terminal import print_report
from awml_deploy_core.runner.reports import make_report

LIMITS = AccuracyLimits(max_range=51.2, min_points=5)


def boxes(xs: Sequence[float], labels: Sequence[int]) -> Detections:
    n = len(xs)
    centers = np.zeros((n, 3), np.float32)
    centers[:, 0] = xs
    return Detections(
        centers,
        np.ones((n, 3), np.float32),
        np.zeros(n, np.float32),
        np.zeros((n, 2), np.float32),
        np.ones(n, np.float32),
        np.array(labels, np.int32),
        ("CAR", "BUS"),
    )


def frame(sample_id: str = "0") -> EvaluatedFrame:
    """Two of three cars are found, one of which has too few points; a bus is seen out of range."""
    there = boxes([5, 10, 15, 60], [0, 0, 0, 1])
    truth = GroundTruth(there, np.array([50, 4, 5, 90], np.int32), np.arange(4, dtype=np.int32))
    return EvaluatedFrame(sample_id, boxes([5.5, 30, 61], [0, 0, 1]), truth)


def record(min_recall: Mapping[str, float], frames: Sequence[EvaluatedFrame]) -> AccuracyRecord:
    return accuracy_record(frames, LIMITS, min_recall)


def shown(content: Report) -> str:
    stream = io.StringIO()
    print_report(content, Console(file=stream, width=80))
    return stream.getvalue()


def test_only_what_is_in_range_and_has_points_counts() -> None:
    accuracy = record({"CAR": 0.5}, [frame("0"), frame("1")])
    assert accuracy.matched.num_frames == 2
    assert accuracy.matched.classes["CAR"] == Counts.of(2, 2, 2)
    assert accuracy.matched.total == Counts.of(2, 2, 2)
    assert accuracy.status == "passed"


@pytest.mark.parametrize(
    ("floor", "message"),
    [
        ({"CAR": 0.51}, "recall of CAR at 2 m: 0.500, at least 0.51"),
        ({"CAR": 0.5, "BUS": 0.1}, "recall of BUS at 2 m: no ground truth, at least 0.1"),
        ({"TRAM": 0.1}, "recall of TRAM at 2 m: no ground truth"),
    ],
)
def test_too_little_recall_or_none_fails_and_says_why(floor: Mapping[str, float], message: str) -> None:
    accuracy = record(floor, [frame()])
    assert accuracy.status == "failed"
    text = shown(make_report("demo", "name", accuracy=accuracy))
    assert f"failed  {message}" in text


def test_who_finds_what_need_not_be_found_is_not_wrong() -> None:
    there = boxes([5, 20, 50.5, -52], [0, 0, 0, 0])
    truth = GroundTruth(there, np.array([50, 4, 50, 50], np.int32), np.arange(4, dtype=np.int32))
    # Of few points; beyond the range but of what is within; the reverse; of nothing, within and beyond.
    found = boxes([20.1, 51.4, -51, 30, 60], [0, 0, 0, 0, 0])
    kept = LIMITS.apply(EvaluatedFrame("0", found, truth))
    np.testing.assert_array_equal(kept.ground_truth.boxes.centers[:, 0], [5, 50.5])
    np.testing.assert_allclose(kept.detections.centers[:, 0], [51.4, 30])


def test_a_frame_that_was_limited_stays_as_it_is() -> None:
    once = LIMITS.apply(frame())
    twice = LIMITS.apply(once)
    np.testing.assert_array_equal(once.detections.centers, twice.detections.centers)
    np.testing.assert_array_equal(once.ground_truth.boxes.centers, twice.ground_truth.boxes.centers)


def test_no_floor_is_no_pass() -> None:
    assert record({}, [frame()]).status == "failed"


def test_nothing_to_match_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="none to evaluate"):
        record({"CAR": 0.5}, [])


def test_the_figures_are_shown_with_their_conditions() -> None:
    text = shown(make_report("demo", "name", accuracy=record({"CAR": 0.4}, [frame()])))
    assert "at 2 m in 1 frames: boxes within 51.2 m, ground truth on at least 5 points" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["CAR", "2", "2", "1", "0.500", "0.500"] in rows
    assert ["BUS", "0", "0", "0", "-", "-"] in rows
    assert ["total", "2", "2", "1", "0.500", "0.500"] in rows


def test_the_record_can_be_read_back_from_json() -> None:
    report = make_report("demo", "name", accuracy=record({"CAR": 0.4}, [frame()]))
    assert Report.model_validate_json(report.model_dump_json()).accuracy == report.accuracy
