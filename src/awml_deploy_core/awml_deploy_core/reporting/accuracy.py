"""From frames with ground truth to a record of what was found, with a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from awml_deploy_core.evaluation import (
    DetectionMetricSettings,
    EvaluatedFrame,
    PrecisionRecall,
    filter_frame,
    match_frame,
)
from awml_deploy_core.reporting.build import check_record
from awml_deploy_core.reporting.result import AccuracyRecord
from awml_deploy_core.verification import CheckResult, Status, Verdict


def accuracy_record(
    frames: Sequence[EvaluatedFrame],
    *,
    max_range: float,
    min_points: int,
    min_recall: Mapping[str, float],
    match_distance: float = 2.0,
) -> AccuracyRecord:
    """Match the boxes of every frame by class and judge the recall.

    Args:
        frames: What a model found at the score thresholds it runs with, and what is there.
        max_range: Boxes at least this far from the origin of the cloud's frame [m] are left out.
        min_points: Ground truth on fewer LiDAR points is left out.
        min_recall: By class name: least recall, in [0, 1]. Without any, nothing is checked, and the
            record has failed.
        match_distance: Centres, seen from above, have to be nearer than this [m].

    Raises:
        EvaluationError: There is no frame, or no ground truth remains in any.
        ParameterError: A limit makes no sense.
    """
    settings = DetectionMetricSettings(default_max_distance=max_range, min_points=min_points)
    kept = [filter_frame(frame, settings) for frame in frames]
    matched = PrecisionRecall.of(
        [match_frame(frame.detections, frame.ground_truth, max_distance=match_distance) for frame in kept]
    )
    checks = tuple(_checks(matched, min_recall))
    return AccuracyRecord(
        max_range=max_range,
        min_points=min_points,
        matched=matched,
        status=Verdict(checks).status.value,
        checks=tuple(check_record(check) for check in checks),
    )


def _checks(matched: PrecisionRecall, min_recall: Mapping[str, float]) -> Iterator[CheckResult]:
    for name, least in min_recall.items():
        counts = matched.classes.get(name)
        recall = None if counts is None else counts.recall
        found = "no ground truth" if recall is None else f"{recall:.3f}"
        passed = recall is not None and recall >= least
        yield CheckResult(
            f"recall of {name} at {matched.max_distance:g} m",
            Status.PASSED if passed else Status.FAILED,
            f"{found}, at least {least:g}",
        )
