"""Precision over recall as nuscenes-devkit 1.2 computes it (``nuscenes.eval.detection.algo``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.evaluation.matching import FloatArray

NUM_RECALLS = 101
RECALLS: FloatArray = np.linspace(0.0, 1.0, NUM_RECALLS)


def first_counted(min_recall: float) -> int:
    """Index of the first recall above the minimum."""
    return round(100 * min_recall) + 1


@dataclass(frozen=True, eq=False)
class PrecisionCurve:
    """Precision and score of one class at 101 recalls from 0 to 1."""

    precision: FloatArray
    """float64 [101]; 0 beyond the recall reached."""
    scores: FloatArray
    """float64 [101]: the score at which that recall is reached; 0 beyond."""

    @classmethod
    def of(cls, scores: FloatArray, hits: npt.NDArray[np.bool_], num_gt: int) -> PrecisionCurve:
        """The curve of detections sorted by falling score.

        Args:
            scores: float64 [P].
            hits: bool [P]: whether each is matched.
            num_gt: Number of ground-truth boxes, more than 0.
        """
        if not hits.any():
            return cls(np.zeros(NUM_RECALLS), np.zeros(NUM_RECALLS))
        found = np.cumsum(hits).astype(np.float64)
        precision = found / np.arange(1, len(hits) + 1)
        recall = found / num_gt
        return cls(
            np.interp(RECALLS, recall, precision, right=0), np.interp(RECALLS, recall, scores, right=0)
        )

    def last_reached(self) -> int:
        """Index of the highest recall with a score above 0; 0 if there is none."""
        reached = np.flatnonzero(self.scores)
        return int(reached[-1]) if len(reached) else 0

    def average_precision(self, min_recall: float, min_precision: float) -> float:
        """Mean over the recalls above the minimum of the precision above the minimum, scaled to [0, 1]."""
        excess = np.maximum(self.precision[first_counted(min_recall) :] - min_precision, 0.0)
        return float(np.mean(excess)) / (1.0 - min_precision)
