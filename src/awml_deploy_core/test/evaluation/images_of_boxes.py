"""Images with boxes for the tests of 2D detection."""

from __future__ import annotations

from typing import Any

import numpy as np

from awml_deploy_core.detections2d import Detections2D, GroundTruth2D
from awml_deploy_core.evaluation.task import TaskFrame

CLASSES = ("car", "bus", "pedestrian")

Frame = TaskFrame[Detections2D, GroundTruth2D]


def boxes2d(rows: Any, labels: Any = None, scores: Any = None) -> Detections2D:
    """Left, top, right, bottom; of the first class with score 1 unless said otherwise."""
    corners = np.array(rows, np.float32).reshape(-1, 4)
    n = len(corners)
    return Detections2D(
        corners,
        np.ones(n, np.float32) if scores is None else np.array(scores, np.float32),
        np.zeros(n, np.int32) if labels is None else np.array(labels, np.int32),
        CLASSES,
    )


def truth2d(boxes: Detections2D, crowds: Any = None, areas: Any = None) -> GroundTruth2D:
    """Without crowds unless said otherwise."""
    flags = np.zeros(len(boxes), bool) if crowds is None else np.array(crowds, bool)
    return GroundTruth2D(boxes, flags, None if areas is None else np.array(areas, np.float64))


def random_images(count: int, seed: int = 0) -> list[Frame]:
    """Boxes in quarters of a pixel, half of them found more or less, and false ones; some are crowds."""
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(count):
        n = int(rng.integers(0, 9))
        corner = rng.integers(0, 1200, (n, 2)) / 4
        there = np.concatenate([corner, corner + rng.integers(20, 600, (n, 2)) / 4], axis=1)
        labels = rng.integers(0, len(CLASSES), n)
        truth = truth2d(
            boxes2d(there, labels),
            rng.random(n) < 0.1,
            (there[:, 2:] - there[:, :2]).prod(axis=1) * rng.uniform(0.3, 1.0, n),
        )
        hit = rng.random(n) < 0.8
        moved = there[hit] + rng.integers(-24, 25, (int(hit.sum()), 4)) / 4
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        wrong = rng.integers(0, 1200, (4, 2)) / 4
        found = np.concatenate([moved, np.concatenate([wrong, wrong + 40], axis=1)])
        said = np.concatenate([labels[hit], rng.integers(0, len(CLASSES), 4)])
        scores = rng.permutation(np.linspace(0.05, 0.95, len(found)))
        order = np.argsort(-scores)
        frames.append(TaskFrame(f"i{index}", boxes2d(found[order], said[order], scores[order]), truth))
    return frames
