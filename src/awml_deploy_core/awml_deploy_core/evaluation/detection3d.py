"""3D detection metrics of nuScenes, computed as nuscenes-devkit 1.2 does, without needing it.

Where this differs on purpose: a class without ground truth has no metrics and does not enter the means
(the devkit's AP is 0 and its errors 1); there are no attributes (see ``nds_without_attributes``); ranges
are distances from the origin of the cloud's frame; there is no filter for bicycle racks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import EvaluationError, ParameterError
from awml_deploy_core.evaluation.class_metrics import MatchedClass, summarize
from awml_deploy_core.evaluation.frames import (
    EvaluatedFrame,
    common_classes,
    filter_frame,
    has_points,
    pool,
    within_limits,
)
from awml_deploy_core.evaluation.metrics import DetectionMetrics, LeftOut, MetricSummary, RangeMetrics
from awml_deploy_core.evaluation.settings import DetectionMetricSettings
from awml_deploy_core.validation import suggest

_MEAN_AP_WEIGHT = 5


def evaluate_detections(
    frames: Sequence[EvaluatedFrame], settings: DetectionMetricSettings | None = None
) -> DetectionMetrics:
    """Metrics of a model's detections over all frames together.

    Args:
        frames: Every frame of the data set, those without detections too.
        settings: By default nuScenes' own, without a limit of range.

    Raises:
        EvaluationError: There are no frames, no ground truth, no common class, frames that do not belong
            together, or boxes that are not finite.
        ParameterError: The settings name a class that does not exist.
    """
    settings = settings or DetectionMetricSettings()
    classes = common_classes(frames)
    _check_names(frames[0], settings)
    left_out = _left_out(frames, classes, settings)
    kept = [filter_frame(frame, settings) for frame in frames]
    predictions = pool([frame.detections for frame in kept])
    truths = pool([frame.ground_truth.boxes for frame in kept])
    no_velocity = _why_no_velocity(frames)
    matched = [
        MatchedClass.of(name, predictions, truths, settings, with_velocity=no_velocity is None)
        for name in classes
    ]
    total = summarize([entry.metrics() for entry in matched])
    if not total.num_gt:
        raise EvaluationError(
            "ground truth",
            f"none is left to evaluate in {len(frames)} frames",
            expected="at least one box",
            hint=f"Left out: {_nonzero(left_out)}.",
        )
    score = None if no_velocity else _scores(total)
    return DetectionMetrics(
        **dict(total),
        num_frames=len(frames),
        nds_without_attributes=None if score is None else score / (_MEAN_AP_WEIGHT + 4),
        nds_with_attribute_error_of_one=None if score is None else score / (_MEAN_AP_WEIGHT + 5),
        nds_missing_because=no_velocity,
        by_range=tuple(_range_metrics(matched, near, far) for near, far in settings.ranges()),
        left_out=left_out,
        settings=settings,
    )


def _scores(total: MetricSummary) -> float:
    """Weighted sum of the mean AP and 1 - error of every error, at most 9."""
    errors = total.errors
    figures = () if errors is None else (errors.ate, errors.ase, errors.aoe, errors.ave)
    error_scores = sum(1.0 - min(1.0, figure) for figure in figures if figure is not None)
    return _MEAN_AP_WEIGHT * (total.mean_ap or 0.0) + error_scores


def _range_metrics(matched: Sequence[MatchedClass], near: float, far: float) -> RangeMetrics:
    total = summarize([entry.metrics(near, far) for entry in matched])
    return RangeMetrics(**dict(total), near=near, far=None if math.isinf(far) else far)


def _why_no_velocity(frames: Sequence[EvaluatedFrame]) -> str | None:
    """Why there is no velocity error, if there is none."""
    first = frames[0]
    if not first.detections.has_velocity:
        return "the model has no velocities"
    truths = [frame.ground_truth.boxes for frame in frames]
    known = any(np.isfinite(boxes.velocities).all(axis=1).any() for boxes in truths)
    if not first.ground_truth.boxes.has_velocity or not known:
        return "the ground truth has no velocities"
    return None


def _check_names(frame: EvaluatedFrame, settings: DetectionMetricSettings) -> None:
    known = {*frame.detections.class_names, *frame.ground_truth.boxes.class_names}
    for key, names in (
        ("max_distance", tuple(settings.max_distance)),
        ("half_turn_classes", settings.half_turn_classes),
    ):
        for name in names:
            if name not in known:
                raise ParameterError(
                    f"detection metrics: {key}", f"unknown class{suggest(name, known)}", got=name
                )


def _left_out(
    frames: Sequence[EvaluatedFrame], classes: tuple[str, ...], settings: DetectionMetricSettings
) -> LeftOut:
    found = [frame.detections for frame in frames]
    truths = [frame.ground_truth for frame in frames]
    near = [within_limits(truth.boxes, settings) for truth in truths]
    hidden = [part & ~has_points(truth, settings) for part, truth in zip(near, truths, strict=True)]
    true_boxes = [truth.boxes for truth in truths]
    return LeftOut(
        ground_truth_of_unknown_class=_count(true_boxes, without=classes),
        detections_of_unknown_class=_count(found, without=classes),
        ground_truth_out_of_range=_chosen(true_boxes, (~part for part in near), classes),
        detections_out_of_range=_chosen(found, (~within_limits(part, settings) for part in found), classes),
        ground_truth_without_points=_chosen(true_boxes, hidden, classes),
    )


def _chosen(
    boxes: Sequence[Detections], masks: Iterable[npt.NDArray[np.bool_]], classes: tuple[str, ...]
) -> dict[str, int]:
    """Number of the chosen boxes by class, of the given classes that have any."""
    counts = _count([part.select(mask) for part, mask in zip(boxes, masks, strict=True)], without=())
    return {name: counts[name] for name in classes if counts[name]}


def _count(boxes: Sequence[Detections], *, without: tuple[str, ...]) -> dict[str, int]:
    """Number of boxes by class over all frames, zeros included, some classes left out."""
    names = [name for name in boxes[0].class_names if name not in without]
    by_frame = [part.count_by_class() for part in boxes]
    return {name: sum(counts[name] for counts in by_frame) for name in names}


def _nonzero(left_out: LeftOut) -> str:
    parts = [
        f"{reason.replace('_', ' ')}: {', '.join(f'{name} {count}' for name, count in counts.items())}"
        for reason, counts in left_out
        if any(counts.values())
    ]
    return "; ".join(parts) or "nothing"
