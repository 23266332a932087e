"""From frames with ground truth to a record of what was found, with a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from awml_deploy_core.evaluation import EvaluatedFrame, PrecisionRecall, match_frame
from awml_deploy_core.evaluation.frames import sensor_distances
from awml_deploy_core.reporting.result import AccuracyRecord
from awml_deploy_core.reporting.verification_build import check_record
from awml_deploy_core.verification import CheckResult, Status, Verdict


@dataclass(frozen=True)
class AccuracyLimits:
    """Which boxes count, and when two are the same."""

    max_range: float
    """Boxes at least this far from the origin of the cloud's frame, seen from above [m], are left out."""
    min_points: int
    """Ground truth on fewer LiDAR points is left out; where the number is unknown, it is kept."""
    match_distance: float = 2.0
    """Centres, seen from above, have to be nearer than this [m]."""

    def apply(self, frame: EvaluatedFrame) -> EvaluatedFrame:
        """The frame with the boxes that count.

        Who finds a road user that need not be found is not wrong: what is matched to ground truth that
        is left out is left out with it.

        Raises:
            ParameterError: ``match_distance`` is not positive.
        """
        found, there = frame.detections, frame.ground_truth
        seen = (there.num_points < 0) | (there.num_points >= self.min_points)
        counts = seen & (sensor_distances(there.boxes) < self.max_range)
        match = match_frame(found, there, max_distance=self.match_distance)
        kept = sensor_distances(found) < self.max_range
        partners = np.flatnonzero(match.matched >= 0)
        kept[partners] = counts[match.matched[partners]]
        return EvaluatedFrame(frame.sample_id, found.select(kept), there.select(counts))


def accuracy_record(
    frames: Sequence[EvaluatedFrame], limits: AccuracyLimits, min_recall: Mapping[str, float]
) -> AccuracyRecord:
    """Match the boxes of every frame by class and judge the recall.

    Args:
        frames: What a model found at the score thresholds it runs with, and what is there.
        limits: Applied to every frame.
        min_recall: By class name: least recall, in [0, 1]. Without any, nothing is checked, and the
            record has failed.

    Raises:
        EvaluationError: There is no frame, or no ground truth remains in any.
        ParameterError: The matching distance is not positive.
    """
    kept = [limits.apply(frame) for frame in frames]
    matched = PrecisionRecall.of(
        [
            match_frame(frame.detections, frame.ground_truth, max_distance=limits.match_distance)
            for frame in kept
        ]
    )
    checks = tuple(_checks(matched, min_recall))
    return AccuracyRecord(
        max_range=limits.max_range,
        min_points=limits.min_points,
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
