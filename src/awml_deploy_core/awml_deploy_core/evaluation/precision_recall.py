"""Precision and recall at one distance and one score: what a picture or a summary shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import EvaluationError, ParameterError
from awml_deploy_core.evaluation.matching import (
    NO_MATCH,
    IndexArray,
    descending,
    distances_from_above,
    greedy_match,
)
from awml_deploy_core.evaluation.metrics import MetricRecord
from awml_deploy_core.ground_truth import GroundTruth


class Counts(MetricRecord):
    """Detections and ground truth, matched or not."""

    true_positives: int
    """Ground truth that is found."""
    false_positives: int
    """Detections of nothing."""
    false_negatives: int
    """Ground truth that is missed."""
    precision: float | None
    """Share of the detections that are of something; None without detections."""
    recall: float | None
    """Share of the ground truth that is found; None without ground truth."""

    @classmethod
    def of(cls, true_positives: int, false_positives: int, false_negatives: int) -> Counts:
        """Counts with their shares."""
        found, there = true_positives + false_positives, true_positives + false_negatives
        return cls(
            true_positives=true_positives,
            false_positives=false_positives,
            false_negatives=false_negatives,
            precision=true_positives / found if found else None,
            recall=true_positives / there if there else None,
        )


@dataclass(frozen=True, eq=False)
class FrameMatch:
    """Detections of one frame, matched one to one to its ground truth."""

    max_distance: float
    min_score: float
    by_class: bool
    matched: IndexArray
    """int64 [N]: index of each detection's ground truth, or -1."""
    considered: npt.NDArray[np.bool_]
    """bool [N]: detections that count: with enough score and, if matched by class, of a class that the
    ground truth has."""
    missed: npt.NDArray[np.bool_]
    """bool [M]: ground truth that counts (if matched by class, of a class that the model has) and is not
    found."""
    counts: dict[str, Counts]
    """By class name, those of both sides that count. What is found or missed counts for the class of
    the ground truth, a detection of nothing for its own."""

    @property
    def false_positives(self) -> npt.NDArray[np.bool_]:
        """bool [N]: detections that count and have no ground truth."""
        unmatched: npt.NDArray[np.bool_] = self.considered & (self.matched == NO_MATCH)
        return unmatched

    @property
    def total(self) -> Counts:
        """Sum over classes."""
        return _sum(tuple(self.counts.values()))


def match_frame(
    detections: Detections,
    ground_truth: GroundTruth,
    *,
    max_distance: float = 2.0,
    min_score: float = 0.0,
    by_class: bool = True,
) -> FrameMatch:
    """Match detections, best score first, each to the nearest ground truth that is still free.

    Nothing else is left out; see ``filter_frame`` for boxes out of range or without points.

    Args:
        detections: In the frame of the cloud.
        ground_truth: In the same frame.
        max_distance: Centres, seen from above, have to be nearer than this [m].
        min_score: Detections need at least this score.
        by_class: Match only boxes of classes with the same name; otherwise any with any.

    Raises:
        ParameterError: ``max_distance`` is not positive or ``min_score`` is NaN.
    """
    if not max_distance > 0:
        raise ParameterError("max_distance", "not a distance", got=max_distance, expected="more than 0 m")
    if np.isnan(min_score):
        raise ParameterError("min_score", "not a score", got=min_score, expected="a number")
    truth = ground_truth.boxes
    names = tuple(dict.fromkeys((*detections.class_names, *truth.class_names)))
    labels, truth_labels = _labels(detections, names), _labels(truth, names)
    considered = detections.scores >= min_score
    truth_considered = np.ones(len(truth), bool)
    if by_class:
        common = [name in detections.class_names and name in truth.class_names for name in names]
        considered &= np.array(common)[labels]
        truth_considered &= np.array(common)[truth_labels]
        names = tuple(name for name, is_common in zip(names, common, strict=True) if is_common)
    order = descending(detections.scores)
    order = order[considered[order]]
    distances = distances_from_above(detections.centers[order], truth.centers)
    if by_class:
        distances[labels[order][:, None] != truth_labels] = np.inf
    matched: IndexArray = np.full(len(detections), NO_MATCH, np.int64)
    matched[order] = greedy_match(distances, (max_distance,))[0]
    found = matched[matched != NO_MATCH]
    missed = truth_considered.copy()
    missed[found] = False
    false_positives = considered & (matched == NO_MATCH)
    truth_names = np.array(truth.class_names)[truth.labels]
    own_names = np.array(detections.class_names)[detections.labels]
    counts = {
        name: Counts.of(
            int((truth_names[found] == name).sum()),
            int((own_names[false_positives] == name).sum()),
            int((truth_names[missed] == name).sum()),
        )
        for name in names
    }
    return FrameMatch(max_distance, min_score, by_class, matched, considered, missed, counts)


class PrecisionRecall(MetricRecord):
    """Counts, precision and recall over frames."""

    max_distance: float
    """Distance of the centres seen from above [m]."""
    min_score: float
    by_class: bool
    """Whether only boxes of the same class were matched."""
    num_frames: int
    total: Counts
    classes: dict[str, Counts]

    @classmethod
    def of(cls, matches: Sequence[FrameMatch]) -> PrecisionRecall:
        """Sum over frames that were matched alike.

        Raises:
            EvaluationError: There is no frame, no ground truth in any, or they were matched differently.
        """
        if not matches:
            raise EvaluationError("frames", "there are none to evaluate", expected="at least one")
        first = matches[0]
        for match in matches:
            ways = [(part.max_distance, part.min_score, part.by_class) for part in (match, first)]
            if ways[0] != ways[1]:
                raise EvaluationError(
                    "frames",
                    "matched in different ways (distance, score, by class)",
                    got=ways[0],
                    expected=ways[1],
                )
        names = dict.fromkeys(name for match in matches for name in match.counts)
        classes = {
            name: _sum([match.counts[name] for match in matches if name in match.counts]) for name in names
        }
        total = _sum(list(classes.values()))
        if total.recall is None:
            raise EvaluationError(
                "ground truth", f"there is none in {len(matches)} frames", expected="at least one box"
            )
        return cls(
            max_distance=first.max_distance,
            min_score=first.min_score,
            by_class=first.by_class,
            num_frames=len(matches),
            total=total,
            classes=classes,
        )

    def summary(self) -> str:
        """One line."""
        total = self.total
        there, found = (
            total.true_positives + other for other in (total.false_negatives, total.false_positives)
        )
        precision = "-" if total.precision is None else f"{total.precision:.3f}"
        recall = "-" if total.recall is None else f"{total.recall:.3f}"
        return (
            f"at {self.max_distance:g} m, score {self.min_score:g}: precision {precision} "
            f"({total.true_positives} of {found} detections), recall {recall} "
            f"({total.true_positives} of {there} boxes) in {self.num_frames} frames"
        )


def _sum(parts: Sequence[Counts]) -> Counts:
    return Counts.of(
        sum(part.true_positives for part in parts),
        sum(part.false_positives for part in parts),
        sum(part.false_negatives for part in parts),
    )


def _labels(boxes: Detections, names: tuple[str, ...]) -> IndexArray:
    """int64 [N]: labels as indices into ``names``."""
    positions = np.array([names.index(name) for name in boxes.class_names], np.int64)
    return positions[boxes.labels]
