"""Rotated IoU of two boxes by the kernel that suppression uses."""

from __future__ import annotations

from typing import Any

import numpy as np

from awml_extractors.centerpoint import bev_iou


def iou(a: Any, b: Any) -> float:
    """IoU of boxes x, y, length, width [m], yaw [rad]; 0 for boxes without area."""
    first, second = (np.array([*box[:4], np.cos(box[4]), np.sin(box[4])], float) for box in (a, b))
    shared = float(bev_iou.box_overlap(first, second, np.empty(bev_iou.SCRATCH_SHAPE)))
    union = first[2] * first[3] + second[2] * second[3] - shared
    return shared / union if union > 0.0 else 0.0
