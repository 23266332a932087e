"""Frames for the tests of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation import EvaluatedFrame
from awml_deploy_core.ground_truth import GroundTruth

CLASSES = ("CAR", "TRUCK", "PEDESTRIAN")


def boxes(
    centers: Sequence[Sequence[float]],
    labels: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    classes: tuple[str, ...] = CLASSES,
    **columns: Any,
) -> Detections:
    """Boxes at x, y, all of the first class with score 1 unless said otherwise."""
    n = len(centers)
    places = np.zeros((n, 3), np.float32)
    places[:, :2] = np.array(centers, np.float32).reshape(n, 2)
    made = Detections(
        places,
        np.tile(np.array([4.0, 2.0, 1.5], np.float32), (n, 1)),
        np.zeros(n, np.float32),
        np.zeros((n, 2), np.float32),
        np.ones(n, np.float32) if scores is None else np.array(scores, np.float32),
        np.zeros(n, np.int32) if labels is None else np.array(labels, np.int32),
        classes,
    )
    return replace(made, **columns)


def truth(of: Detections, num_points: Sequence[int] | None = None) -> GroundTruth:
    """Ground truth of which points and tracks are unknown."""
    unknown = np.full(len(of), -1, np.int32)
    points = unknown if num_points is None else np.array(num_points, np.int32)
    return GroundTruth(of, points, unknown)


def frame(found: Detections, there: Detections | GroundTruth, sample_id: str = "0") -> EvaluatedFrame:
    """One frame."""
    return EvaluatedFrame(sample_id, found, there if isinstance(there, GroundTruth) else truth(there))
