"""Greedy non-maximum suppression of boxes in an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IndexArray = npt.NDArray[np.int64]


def suppress(boxes: npt.NDArray[np.float32], threshold: float, limit: int) -> IndexArray:
    """Boxes that overlap no better one that is kept.

    Args:
        boxes: float32 [N, 4], best first.
        threshold: A box goes if its IoU with a kept one exceeds this.
        limit: Most boxes to keep.

    Returns:
        int64 [M]: indices of the kept boxes, ascending.
    """
    columns = np.ascontiguousarray(boxes.astype(np.float64).T)
    areas = np.maximum(columns[2] - columns[0], 0) * np.maximum(columns[3] - columns[1], 0)
    kept = []
    remaining = np.arange(len(boxes), dtype=np.int64)
    while len(remaining) and len(kept) < limit:
        best, remaining = remaining[0], remaining[1:]
        kept.append(best)
        left, top, right, bottom = columns[:, remaining]
        width = np.minimum(right, columns[2, best]) - np.maximum(left, columns[0, best])
        height = np.minimum(bottom, columns[3, best]) - np.maximum(top, columns[1, best])
        overlap = np.maximum(width, 0) * np.maximum(height, 0)
        union = areas[best] + areas[remaining] - overlap
        # Two boxes without area do not overlap.
        remaining = remaining[overlap / np.where(union > 0, union, 1) <= threshold]
    return np.array(kept, np.int64)


def suppress_by_class(
    boxes: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], threshold: float, limit: int
) -> IndexArray:
    """As :func:`suppress`, but only boxes of one class suppress each other."""
    parts = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        parts.append(members[suppress(boxes[members], threshold, limit)])
    kept = np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)
    return kept[:limit].astype(np.int64)
