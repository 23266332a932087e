"""Overlap of rotated boxes seen from above."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections

FloatArray = npt.NDArray[np.float64]


def footprint(boxes: Detections, index: int) -> FloatArray:
    """float64 [4, 2]: corners of a box [m], counter-clockwise."""
    length, width = boxes.sizes[index, :2].astype(np.float64) / 2
    yaw = float(boxes.yaws[index])
    with np.errstate(invalid="ignore"):
        cos, sin = np.cos(yaw), np.sin(yaw)
    local = np.array([[length, width], [-length, width], [-length, -width], [length, -width]])
    with np.errstate(invalid="ignore"):
        corners: FloatArray = local @ np.array([[cos, sin], [-sin, cos]]) + boxes.centers[index, :2]
    return corners


def bev_iou(a: Detections, i: int, b: Detections, j: int) -> float:
    """Intersection over union in [0, 1] of box ``i`` of ``a`` and box ``j`` of ``b``, heights left out.

    Clips one footprint by the sides of the other (Sutherland-Hodgman). It is 0 where a box is not
    finite or has no area.
    """
    first, second = footprint(a, i), footprint(b, j)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return 0.0
    polygon: list[Any] = list(first)
    for k in range(4):
        polygon = _clip(polygon, second[k], second[(k + 1) % 4] - second[k])
    overlap = _area(polygon)
    union = _area(list(first)) + _area(list(second)) - overlap
    return min(overlap / union, 1.0) if union > 0 else 0.0


def _clip(polygon: list[Any], origin: FloatArray, direction: FloatArray) -> list[Any]:
    """The part of a convex polygon to the left of a line."""
    kept = []
    for index, here in enumerate(polygon):
        there = polygon[(index + 1) % len(polygon)]
        sides = [
            direction[0] * (p[1] - origin[1]) - direction[1] * (p[0] - origin[0]) for p in (here, there)
        ]
        if sides[0] >= 0:
            kept.append(here)
        if sides[0] * sides[1] < 0:
            kept.append(here + (there - here) * (sides[0] / (sides[0] - sides[1])))
    return kept


def _area(polygon: list[Any]) -> float:
    if len(polygon) < 3:
        return 0.0
    x, y = np.array(polygon).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
