"""All metrics of one class, over everything or over a range of distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.evaluation.average_precision import PrecisionCurve
from awml_deploy_core.evaluation.frames import PooledBoxes, sensor_distances
from awml_deploy_core.evaluation.matching import (
    NO_MATCH,
    FloatArray,
    IndexArray,
    descending,
    match_over_frames,
)
from awml_deploy_core.evaluation.metrics import ClassMetrics, MetricSummary, TpErrors
from awml_deploy_core.evaluation.settings import DetectionMetricSettings
from awml_deploy_core.evaluation.tp_errors import ERRORS, is_measured, mean_error, pair_errors

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MatchedClass:
    """Detections of one class over all frames, matched to its ground truth at every threshold."""

    name: str
    settings: DetectionMetricSettings
    with_velocity: bool
    """Whether both sides have velocities to compare."""
    scores: FloatArray
    """float64 [P], falling."""
    distances: FloatArray
    """float64 [P]: of the detections from the sensor [m]."""
    truth_distances: FloatArray
    """float64 [G]: of the ground truth from the sensor [m]."""
    matches: IndexArray
    """int64 [T, P]: index of the ground truth by threshold and detection, or -1."""
    errors: dict[str, FloatArray]
    """float64 [P] by error: at the threshold for errors; NaN where nothing is matched."""

    @classmethod
    def of(
        cls,
        name: str,
        predictions: PooledBoxes,
        truths: PooledBoxes,
        settings: DetectionMetricSettings,
        *,
        with_velocity: bool,
    ) -> MatchedClass:
        """Match the boxes of class ``name`` among those of all frames."""
        truths = truths.of_class(name)
        predictions = predictions.of_class(name)
        predictions = predictions.select(descending(predictions.boxes.scores))
        matches = match_over_frames(
            predictions.boxes.centers,
            predictions.frames,
            truths.boxes.centers,
            truths.frames,
            settings.thresholds,
        )
        matched = matches[settings.thresholds.index(settings.tp_threshold)]
        hits = np.flatnonzero(matched != NO_MATCH)
        errors = {error: np.full(len(matched), np.nan) for error in ERRORS}
        of_pairs = pair_errors(
            predictions.boxes.select(hits),
            truths.boxes.select(matched[hits]),
            half_turn=name in settings.half_turn_classes,
        )
        for error, values in of_pairs.items():
            errors[error][hits] = values
        return cls(
            name,
            settings,
            with_velocity,
            predictions.boxes.scores.astype(np.float64),
            sensor_distances(predictions.boxes),
            sensor_distances(truths.boxes),
            matches,
            errors,
        )

    def metrics(self, near: float = 0.0, far: float = math.inf) -> ClassMetrics:
        """Metrics of the boxes from ``near`` to before ``far`` [m]; see ``RangeMetrics`` for whose are
        whose."""
        settings = self.settings
        truth_inside = (near <= self.truth_distances) & (self.truth_distances < far)
        inside = (near <= self.distances) & (self.distances < far)
        num_gt = int(truth_inside.sum())
        ap: dict[float, float] = {}
        errors = None
        num_predictions = 0
        for threshold, matches in zip(settings.thresholds, self.matches, strict=True):
            hits = matches != NO_MATCH
            kept = inside.copy()
            kept[hits] = truth_inside[matches[hits]]
            if threshold == settings.tp_threshold:
                num_predictions = int(kept.sum())
            if num_gt:
                curve = PrecisionCurve.of(self.scores[kept], hits[kept], num_gt)
                ap[threshold] = curve.average_precision(settings.min_recall, settings.min_precision)
                if threshold == settings.tp_threshold:
                    errors = self._errors(curve, hits & kept)
        return ClassMetrics(
            name=self.name,
            num_gt=num_gt,
            num_predictions=num_predictions,
            ap=ap if num_gt else None,
            mean_ap=float(np.mean(list(ap.values()))) if num_gt else None,
            errors=errors,
        )

    def _errors(self, curve: PrecisionCurve, hits: BoolArray) -> TpErrors:
        means = {
            error: mean_error(curve, self.scores[hits], values[hits], self.settings.min_recall)
            for error, values in self.errors.items()
            if error != "ave" or self.with_velocity
        }
        return TpErrors(
            ate=means["ate"],
            ase=means["ase"],
            aoe=means["aoe"],
            ave=means.get("ave"),
            measured=is_measured(curve, self.settings.min_recall),
        )


def summarize(classes: Sequence[ClassMetrics]) -> MetricSummary:
    """Sums and means over classes."""
    aps = [entry.mean_ap for entry in classes if entry.mean_ap is not None]
    return MetricSummary(
        num_gt=sum(entry.num_gt for entry in classes),
        num_predictions=sum(entry.num_predictions for entry in classes),
        mean_ap=float(np.mean(aps)) if aps else None,
        errors=_mean_errors([entry.errors for entry in classes if entry.errors is not None]),
        classes=tuple(classes),
    )


def _mean_errors(errors: Sequence[TpErrors]) -> TpErrors | None:
    if not errors:
        return None
    velocity = [entry.ave for entry in errors if entry.ave is not None]
    return TpErrors(
        ate=float(np.mean([entry.ate for entry in errors])),
        ase=float(np.mean([entry.ase for entry in errors])),
        aoe=float(np.mean([entry.aoe for entry in errors])),
        ave=float(np.mean(velocity)) if velocity else None,
        measured=all(entry.measured for entry in errors),
    )
