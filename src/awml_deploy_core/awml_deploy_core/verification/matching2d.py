"""One-to-one matching of the 2D boxes of two backends."""

from __future__ import annotations

import numpy as np

from awml_deploy_core.detections2d import Detections2D, pairwise_iou


def match_by_overlap(
    reference: Detections2D, test: Detections2D, min_iou: float, same_within: float = 0.0
) -> tuple[tuple[int, int], ...]:
    """Pair boxes of one class, best overlap first.

    Args:
        reference: Boxes of one side.
        test: Boxes of the other, with the same classes.
        min_iou: Boxes that overlap less are not the same.
        same_within: Boxes whose coordinates all differ by no more than this [px] are the same however
            little they overlap: the overlap of a box without area says nothing, that of a tiny one little.

    Returns:
        Index in ``reference`` and in ``test`` of every pair, ascending.
    """
    overlap = pairwise_iou(reference.boxes, test.boxes)
    distance = np.abs(reference.boxes[:, None].astype(np.float64) - test.boxes[None])
    overlap[(distance <= same_within).all(axis=2)] = 1.0
    overlap[reference.labels[:, None] != test.labels[None]] = -1.0
    pairs: list[tuple[int, int]] = []
    free_rows, free_columns = np.ones(len(reference), bool), np.ones(len(test), bool)
    candidates = np.flatnonzero(overlap.ravel() >= min_iou)
    for flat in candidates[np.argsort(-overlap.ravel()[candidates], kind="stable")]:
        row, column = divmod(int(flat), len(test))
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            pairs.append((row, column))
    return tuple(sorted(pairs))
