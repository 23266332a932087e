"""Errors of matched boxes as nuscenes-devkit 1.2 computes them (``nuscenes.eval.detection.algo``)."""

from __future__ import annotations

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation.average_precision import PrecisionCurve, first_counted
from awml_deploy_core.evaluation.matching import FloatArray

ERRORS = ("ate", "ase", "aoe", "ave")
# What nuScenes gives for an error that could not be measured.
_UNMEASURED = 1.0


def pair_errors(found: Detections, truth: Detections, *, half_turn: bool) -> dict[str, FloatArray]:
    """Errors of pairs of boxes, one row a pair.

    Args:
        found: K detections.
        truth: Their K ground-truth boxes.
        half_turn: Whether headings that differ by pi are the same.

    Returns:
        float64 [K] by error: distance from above [m], 1 - IoU of the aligned boxes, heading [rad],
        velocity [m/s], which is NaN where the ground truth's is.
    """
    sizes, true_sizes = found.sizes.astype(np.float64), truth.sizes.astype(np.float64)
    common = np.minimum(sizes, true_sizes).prod(axis=1)
    union = sizes.prod(axis=1) + true_sizes.prod(axis=1) - common
    period = np.pi if half_turn else 2 * np.pi
    turn = truth.yaws.astype(np.float64) - found.yaws
    return {
        "ate": _length(truth.centers[:, :2].astype(np.float64) - found.centers[:, :2]),
        "ase": 1.0 - common / union,
        "aoe": np.abs((turn + period / 2) % period - period / 2),
        "ave": _length(truth.velocities.astype(np.float64) - found.velocities),
    }


def is_measured(curve: PrecisionCurve, min_recall: float) -> bool:
    """Whether recall is high enough for errors to be averaged."""
    return curve.last_reached() >= first_counted(min_recall)


def mean_error(curve: PrecisionCurve, scores: FloatArray, errors: FloatArray, min_recall: float) -> float:
    """Mean over the recalls reached above the minimum of the error of all matches up to that recall.

    Args:
        curve: Of the class, with false positives.
        scores: float64 [K]: of the matched detections, falling.
        errors: float64 [K]: of the same; NaN does not count.
        min_recall: Recall up to this does not count.

    Returns:
        The error; 1 if that recall is not reached or all errors are NaN.
    """
    if not is_measured(curve, min_recall):
        return _UNMEASURED
    means = cumulative_mean(errors)
    # The x values of np.interp have to rise.
    at_recalls = np.interp(curve.scores[::-1], scores[::-1], means[::-1])[::-1]
    return float(np.mean(at_recalls[first_counted(min_recall) : curve.last_reached() + 1]))


def cumulative_mean(values: FloatArray) -> FloatArray:
    """Mean of all values up to each that are not NaN; 0 before the first, all 1 if there is none."""
    known = ~np.isnan(values)
    if not known.any():
        return np.full(len(values), _UNMEASURED)
    sums, counts = np.nancumsum(values), np.cumsum(known)
    means: FloatArray = np.divide(sums, counts, out=np.zeros_like(sums), where=counts != 0)
    return means


def _length(vectors: FloatArray) -> FloatArray:
    lengths: FloatArray = np.linalg.norm(vectors, axis=1)
    return lengths
