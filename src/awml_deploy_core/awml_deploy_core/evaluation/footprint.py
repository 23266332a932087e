"""Boxes seen from above: their corners, and the area that two of them share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections

FloatArray = npt.NDArray[np.float64]

_TOUCHING = 1e-9
"""A corner this far [m] outside an edge counts as on it."""


def box_corners(boxes: Detections) -> npt.NDArray[np.float64]:
    """Corners of every box seen from above.

    Returns:
        float64 [N, 4, 2]: front left, rear left, rear right, front right [m].
    """
    half = boxes.sizes[:, None, :2].astype(np.float64) / 2
    local = half * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    cos, sin = np.cos(boxes.yaws)[:, None], np.sin(boxes.yaws)[:, None]
    rotated = np.stack(
        [cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1]], axis=-1
    )
    found: npt.NDArray[np.float64] = rotated + boxes.centers[:, None, :2]
    return found


def overlap_areas(corners: FloatArray, others: FloatArray) -> FloatArray:
    """Area that pairs of rectangles share.

    The corners of the shared polygon are those of either rectangle inside the other and the crossings
    of their edges; sorted by angle around their mean, they give its area.

    Args:
        corners: float64 [K, 4, 2]: of one of each pair, in order around it [m].
        others: float64 [K, 4, 2]: of the other.

    Returns:
        float64 [K] [m^2].
    """
    crossings, crossed = _crossings(corners, others)
    points = np.concatenate([corners, others, crossings], axis=1)
    valid = np.concatenate([_inside(corners, others), _inside(others, corners), crossed], axis=1)
    count = valid.sum(axis=1)
    middle = np.where(valid[..., None], points, 0.0).sum(axis=1) / np.maximum(count, 1)[:, None]
    offsets = points - middle[:, None]
    angles = np.where(valid, np.arctan2(offsets[..., 1], offsets[..., 0]), np.inf)
    order = np.argsort(angles, axis=1)
    ring = np.take_along_axis(offsets, order[..., None], axis=1)
    is_valid = np.take_along_axis(valid, order, axis=1)
    # What is no corner lies on the first one, where it adds no area.
    ring = np.where(is_valid[..., None], ring, ring[:, :1])
    following = np.roll(ring, -1, axis=1)
    areas = 0.5 * np.abs(_cross(ring, following).sum(axis=1))
    return np.where(count >= 3, areas, 0.0)


def _inside(points: FloatArray, rectangle: FloatArray) -> npt.NDArray[np.bool_]:
    """bool [K, 4]: whether each point of a pair lies in its rectangle."""
    edges = np.roll(rectangle, -1, axis=1) - rectangle
    lengths = np.maximum(np.linalg.norm(edges, axis=2), 1e-12)
    # [K, 4 points, 4 edges]: distance to the left of each edge.
    left = _cross(edges[:, None], points[:, :, None] - rectangle[:, None]) / lengths[:, None]
    inside: npt.NDArray[np.bool_] = (left >= -_TOUCHING).all(axis=2)
    return inside


def _crossings(corners: FloatArray, others: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Where the edges of each pair cross: float64 [K, 16, 2], and which of them do: bool [K, 16]."""
    a, b = corners[:, :, None], others[:, None]
    along = (np.roll(corners, -1, axis=1) - corners)[:, :, None]
    beside = (np.roll(others, -1, axis=1) - others)[:, None]
    determinant = _cross(along, beside)
    parallel = np.abs(determinant) < 1e-12
    safe = np.where(parallel, 1.0, determinant)
    t, u = _cross(b - a, beside) / safe, _cross(b - a, along) / safe
    crossed = ~parallel & (t >= 0) & (t <= 1) & (u >= 0) & (u <= 1)
    points = a + t[..., None] * along
    return points.reshape(len(corners), 16, 2), crossed.reshape(len(corners), 16)


def _cross(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> FloatArray:
    product: FloatArray = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product
