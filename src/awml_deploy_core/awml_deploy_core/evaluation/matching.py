"""Which detection found which ground truth: greedy by score, each taking the nearest box still free.

The rule of nuscenes-devkit 1.2 (``nuscenes.eval.detection.algo.accumulate``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

NO_MATCH = -1


def descending(scores: npt.NDArray[Any]) -> IndexArray:
    """Order of falling score; of equal scores the later comes first, as nuscenes-devkit has it."""
    order: IndexArray = np.argsort(scores, kind="stable")[::-1]
    return order


def distances_from_above(centers: npt.NDArray[Any], others: npt.NDArray[Any]) -> FloatArray:
    """Distance of every centre to every other, height left out.

    Args:
        centers: [P, >=2]: x, y, ... [m].
        others: [G, >=2]: the same.

    Returns:
        float64 [P, G] [m].
    """
    difference = centers[:, None, :2].astype(np.float64) - others[None, :, :2]
    distances: FloatArray = np.linalg.norm(difference, axis=2)
    return distances


def greedy_match(distances: FloatArray, thresholds: Sequence[float]) -> IndexArray:
    """Match the boxes of one frame, independently for every threshold.

    Args:
        distances: float64 [P, G]: of detections, best first, to ground truth [m]; infinite for pairs
            that are not to be matched.
        thresholds: T distances [m]; a match is nearer.

    Returns:
        int64 [T, P]: index of the matched ground truth, or -1.
    """
    num_predictions, num_truths = distances.shape
    limits = np.asarray(thresholds, np.float64)
    found: IndexArray = np.full((len(limits), num_predictions), NO_MATCH, np.int64)
    if not num_truths:
        return found
    levels = np.arange(len(limits))
    taken = np.zeros((len(limits), num_truths), bool)
    # A detection out of reach of everything takes nothing.
    for row in np.flatnonzero((distances < limits.max()).any(axis=1)):
        free = np.where(taken, np.inf, distances[row])
        nearest = free.argmin(axis=1)
        hit = free[levels, nearest] < limits
        found[hit, row] = nearest[hit]
        taken[levels[hit], nearest[hit]] = True
    return found


def match_over_frames(
    centers: npt.NDArray[Any],
    frames: IndexArray,
    truth_centers: npt.NDArray[Any],
    truth_frames: IndexArray,
    thresholds: Sequence[float],
) -> IndexArray:
    """Match the boxes of one class within each frame.

    Args:
        centers: [P, >=2]: of detections, best first [m].
        frames: int64 [P]: frame of each.
        truth_centers: [G, >=2]: of ground truth [m].
        truth_frames: int64 [G]: frame of each.
        thresholds: T distances [m].

    Returns:
        int64 [T, P]: index of the matched ground truth, or -1.
    """
    found: IndexArray = np.full((len(thresholds), len(frames)), NO_MATCH, np.int64)
    truths = _rows_by_frame(truth_frames)
    for frame, rows in _rows_by_frame(frames).items():
        if (columns := truths.get(frame)) is None:
            continue
        distances = distances_from_above(centers[rows], truth_centers[columns])
        local = greedy_match(distances, thresholds)
        found[:, rows] = np.where(local == NO_MATCH, NO_MATCH, columns[local])
    return found


def _rows_by_frame(frames: IndexArray) -> dict[int, IndexArray]:
    """Rows of every frame that has any, in their order."""
    order = np.argsort(frames, kind="stable")
    starts = np.flatnonzero(np.diff(frames[order], prepend=-1))
    parts = np.split(order, starts[1:]) if len(order) else []
    return {int(frames[part[0]]): part for part in parts}
