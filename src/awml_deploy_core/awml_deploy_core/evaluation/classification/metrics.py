"""Metrics of classifications; definitions and figures are scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from awml_deploy_core.evaluation.metrics import MetricRecord

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]


class ClassScores(MetricRecord):
    """One class against all others."""

    name: str
    num_gt: int
    num_predictions: int
    """Samples whose most probable class it is."""
    precision: float | None
    """0 where it is never predicted, as scikit-learn has it with ``zero_division=0``; None, as the
    following two, for a class that no sample has and none is said to have."""
    recall: float | None
    f1: float | None
    auc: float | None
    """Area under the ROC curve of its probability; None where all samples have it, or none."""


class ClassificationMetrics(MetricRecord):
    """All metrics of one classifier over all samples."""

    num_frames: int
    accuracy: float
    balanced_accuracy: float
    """Mean recall of the classes that samples have."""
    macro_f1: float
    """Mean over the classes that samples have or are said to have."""
    macro_auc: float | None
    """Mean over the classes that have one; None if none has."""
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Samples by class that they have (row) and that they are said to have (column)."""


def classification_metrics(
    labels: IndexArray, probabilities: FloatArray, class_names: Sequence[str]
) -> ClassificationMetrics:
    """Measure one or more samples.

    Args:
        labels: int64 [N]: class of every sample.
        probabilities: float64 [N, K].
        class_names: K names.
    """
    count = len(class_names)
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    rows = [
        _scores(label, name, confusion, labels, probabilities) for label, name in enumerate(class_names)
    ]
    recalls = [row.recall for row in rows if row.num_gt and row.recall is not None]
    f1 = [row.f1 for row in rows if row.f1 is not None]
    auc = [row.auc for row in rows if row.auc is not None]
    return ClassificationMetrics(
        num_frames=len(labels),
        accuracy=float(np.trace(confusion) / len(labels)),
        balanced_accuracy=float(np.mean(recalls)),
        macro_f1=float(np.mean(f1)),
        macro_auc=float(np.mean(auc)) if auc else None,
        classes=tuple(rows),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def _scores(
    label: int, name: str, confusion: IndexArray, labels: IndexArray, probabilities: FloatArray
) -> ClassScores:
    right = int(confusion[label, label])
    there, said = int(confusion[label].sum()), int(confusion[:, label].sum())
    seen = there + said > 0
    return ClassScores(
        name=name,
        num_gt=there,
        num_predictions=said,
        precision=(right / said if said else 0.0) if seen else None,
        recall=(right / there if there else 0.0) if seen else None,
        f1=2 * right / (there + said) if seen else None,
        auc=area_under_curve(labels == label, probabilities[:, label]),
    )


def area_under_curve(positive: npt.NDArray[np.bool_], scores: FloatArray) -> float | None:
    """Area under the ROC curve: the chance that a positive sample scores higher than a negative one.

    Computed from the ranks, equal scores sharing theirs (H. B. Mann and D. R. Whitney, 1947).

    Args:
        positive: bool [N].
        scores: float64 [N].

    Returns:
        In [0, 1]; None without samples of both kinds.
    """
    num_positive = int(positive.sum())
    num_negative = len(positive) - num_positive
    if not num_positive or not num_negative:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[place.reshape(-1)]
    least = num_positive * (num_positive + 1) / 2
    return float((ranks[positive].sum() - least) / (num_positive * num_negative))
