"""Greedy non-maximum suppression of boxes in an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections2d import pairwise_iou

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
    kept = []
    remaining = np.arange(len(boxes), dtype=np.int64)
    while len(remaining) and len(kept) < limit:
        best, remaining = remaining[0], remaining[1:]
        kept.append(best)
        overlap = pairwise_iou(boxes[best : best + 1], boxes[remaining])[0]
        remaining = remaining[overlap <= threshold]
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
