"""AP and APH by class, range and matching policy, as Autoware's perception evaluation computes them.

Source: github.com/tier4/autoware_perception_evaluation at commit 96b7182, ``NuscenesObjectMatcher`` in
``evaluation/result/object_result_matching.py``, ``Ap`` and ``TPMetricsAph`` in
``evaluation/metrics/detection``; tests compare with its own figures (``tools/autoware_oracle.py``).

Where this differs on purpose: a class without ground truth has no metrics (there: NaN or 0), and APH
keeps the sign of headings (there +1 and -1 rad are the same, as it takes them from
``Quaternion.radians``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation.autoware.metrics import (
    AutowareClass,
    AutowareMetrics,
    AutowareRange,
    PolicyMetrics,
)
from awml_deploy_core.evaluation.autoware.policies import POLICIES, MatchingPolicy
from awml_deploy_core.evaluation.average_precision import RECALLS, first_counted
from awml_deploy_core.evaluation.frames import (
    EvaluatedFrame,
    common_classes,
    filter_frame,
    sensor_distances,
)
from awml_deploy_core.evaluation.matching import NO_MATCH, FloatArray, descending, greedy_match
from awml_deploy_core.evaluation.settings import DetectionMetricSettings

_MIN_RECALL = _MIN_PRECISION = 0.1

Pair = tuple[Detections, Detections]
"""Detections and ground truth of a frame."""


@dataclass(frozen=True, eq=False)
class _Matches:
    """The detections of one class over all frames."""

    scores: FloatArray
    """float64 [P]."""
    values: FloatArray
    """float64 [T, P]: 1 - heading difference / pi of what is matched, NaN of what is not."""
    num_gt: int


def evaluate_autoware(
    frames: Sequence[EvaluatedFrame],
    thresholds: Mapping[str, tuple[float, ...]],
    settings: DetectionMetricSettings | None = None,
) -> AutowareMetrics:
    """Metrics over all frames together.

    Args:
        frames: Every frame of the data set.
        thresholds: By policy, those of :data:`POLICIES`; a policy with none is left out.
        settings: Range, points and borders of ranges; the rest is not used.

    Raises:
        EvaluationError: There are no frames, frames do not belong together, or no class is common.
        KeyError: There is no such policy.
    """
    settings = settings or DetectionMetricSettings()
    classes = common_classes(frames)
    kept = [filter_frame(frame, settings) for frame in frames]
    pairs = [(frame.detections, frame.ground_truth.boxes) for frame in kept]
    parts = [(near, far, [_within(pair, near, far) for pair in pairs]) for near, far in settings.ranges()]
    policies = []
    for name, limits in thresholds.items():
        if not limits:
            continue
        policy = POLICIES[name]
        total = _range(pairs, classes, policy, limits, 0.0, math.inf)
        policies.append(
            PolicyMetrics(
                policy=name,
                thresholds=limits,
                mean_ap=total.mean_ap,
                mean_aph=total.mean_aph,
                classes=total.classes,
                by_range=tuple(
                    _range(part, classes, policy, limits, near, far) for near, far, part in parts
                ),
            )
        )
    return AutowareMetrics(num_frames=len(frames), policies=tuple(policies))


def _range(
    pairs: Sequence[Pair],
    classes: Sequence[str],
    policy: MatchingPolicy,
    thresholds: tuple[float, ...],
    near: float,
    far: float,
) -> AutowareRange:
    found = tuple(_class_metrics(pairs, name, policy, thresholds) for name in classes)
    return AutowareRange(
        near=near,
        far=None if math.isinf(far) else far,
        mean_ap=_mean(entry.mean_ap for entry in found),
        mean_aph=_mean(entry.mean_aph for entry in found),
        classes=found,
    )


def _class_metrics(
    pairs: Sequence[Pair], name: str, policy: MatchingPolicy, thresholds: tuple[float, ...]
) -> AutowareClass:
    matches = _match(pairs, name, policy, policy.limits(thresholds))
    counts = AutowareClass(name=name, num_gt=matches.num_gt, num_predictions=len(matches.scores))
    if not matches.num_gt:
        return counts
    order = descending(matches.scores)
    ap, aph = {}, {}
    for threshold, values in zip(thresholds, matches.values[:, order], strict=True):
        hits = ~np.isnan(values)
        ap[threshold] = average_precision(hits.astype(np.float64), ~hits, matches.num_gt)
        aph[threshold] = average_precision(np.where(hits, values, 0.0), ~hits, matches.num_gt)
    means = {"mean_ap": _mean(ap.values()), "mean_aph": _mean(aph.values())}
    return counts.model_copy(update={"ap": ap, "aph": aph, **means})


def average_precision(hits: FloatArray, misses: npt.NDArray[np.bool_], num_gt: int) -> float:
    """Mean precision over 101 recalls, those up to 0.1 left out, precision falling with recall.

    Args:
        hits: float64 [P]: what each detection, best first, counts as a match.
        misses: bool [P]: whether it is a false positive.
        num_gt: More than 0.
    """
    if not len(hits):
        return 0.0
    found = np.cumsum(hits)
    total = found + np.cumsum(misses)
    precision = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at_recalls = np.interp(RECALLS, found / num_gt, envelope, right=0)
    excess = np.maximum(at_recalls[first_counted(_MIN_RECALL) :] - _MIN_PRECISION, 0.0)
    return float(np.mean(excess)) / (1.0 - _MIN_PRECISION)


def _match(pairs: Sequence[Pair], name: str, policy: MatchingPolicy, limits: tuple[float, ...]) -> _Matches:
    scores: list[FloatArray] = [np.zeros(0)]
    values: list[FloatArray] = [np.zeros((len(limits), 0))]
    num_gt = 0
    for detections, boxes in pairs:
        there = _of_class(boxes, name)
        found = _of_class(detections, name)
        # Equal scores stay in their order.
        found = found.select(np.argsort(-found.scores, kind="stable"))
        matched = greedy_match(policy.costs(found, there), limits)
        num_gt += len(there)
        scores.append(found.scores.astype(np.float64))
        values.append(_heading_values(found, there, matched))
    return _Matches(np.concatenate(scores), np.concatenate(values, axis=1), num_gt)


def _heading_values(found: Detections, there: Detections, matched: npt.NDArray[np.int64]) -> FloatArray:
    """float64 [T, P]: 1 - heading difference / pi; NaN where nothing is matched."""
    values = np.full(matched.shape, np.nan)
    level, row = np.nonzero(matched != NO_MATCH)
    turn = found.yaws[row].astype(np.float64) - there.yaws[matched[level, row]]
    values[level, row] = 1.0 - np.abs((turn + np.pi) % (2 * np.pi) - np.pi) / np.pi
    return values


def _within(pair: Pair, near: float, far: float) -> Pair:
    def chosen(boxes: Detections) -> Detections:
        distances = sensor_distances(boxes)
        return boxes.select((distances >= near) & (distances < far))

    return chosen(pair[0]), chosen(pair[1])


def _of_class(boxes: Detections, name: str) -> Detections:
    return boxes.select(boxes.labels == boxes.class_names.index(name))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
