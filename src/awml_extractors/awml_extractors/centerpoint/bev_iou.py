"""Overlap of rotated boxes in the bird's-eye view."""

from __future__ import annotations

from typing import Any

import numpy as np

from awml_extractors.jit import inlined

SCRATCH_SHAPE = (2, 40)
"""Of float64 work memory. Clipping by a side adds one vertex, but where a box is as small as the
rounding of its corners half as many as there are: 4, 6, 9, 13, 19."""


@inlined
def _clip(polygon: Any, count: int, axis: int, sign: float, limit: float, out: Any) -> int:
    """Clip a convex polygon by ``sign * coordinate <= limit``; vertices interleaved x, y."""
    kept = 0
    for i in range(count):
        k = i + 1 if i + 1 < count else 0
        here = limit - sign * polygon[2 * i + axis]
        there = limit - sign * polygon[2 * k + axis]
        if here >= 0.0:
            out[2 * kept] = polygon[2 * i]
            out[2 * kept + 1] = polygon[2 * i + 1]
            kept += 1
        if (here > 0.0 and there < 0.0) or (here < 0.0 and there > 0.0):
            share = here / (here - there)
            out[2 * kept] = polygon[2 * i] + share * (polygon[2 * k] - polygon[2 * i])
            out[2 * kept + 1] = polygon[2 * i + 1] + share * (polygon[2 * k + 1] - polygon[2 * i + 1])
            kept += 1
    return kept


@inlined
def box_overlap(a: Any, b: Any, scratch: Any) -> Any:
    """Area [m^2] that two boxes (x, y, length, width, cosine and sine of the yaw) share.

    Clips one rectangle by the other's four sides (Sutherland-Hodgman) in the other's own frame,
    where the sides are axis-aligned. ``scratch`` is float64 of
    :data:`SCRATCH_SHAPE`. ``device/kernels/overlap.cuh``
    repeats it operation by operation.
    """
    dx, dy = b[0] - a[0], b[1] - a[1]
    reach = np.sqrt(a[2] * a[2] + a[3] * a[3]) + np.sqrt(b[2] * b[2] + b[3] * b[3])
    if 4.0 * (dx * dx + dy * dy) >= reach * reach:
        return 0.0
    x, y = a[4] * dx + a[5] * dy, a[4] * dy - a[5] * dx
    cos, sin = a[4] * b[4] + a[5] * b[5], a[4] * b[5] - a[5] * b[4]
    polygon, other = scratch[0], scratch[1]
    for i in range(4):
        along = 0.5 * b[2] * (1.0 if i == 0 or i == 3 else -1.0)
        across = 0.5 * b[3] * (1.0 if i < 2 else -1.0)
        polygon[2 * i] = x + cos * along - sin * across
        polygon[2 * i + 1] = y + sin * along + cos * across
    count = _clip(polygon, 4, 0, 1.0, 0.5 * a[2], other)
    count = _clip(other, count, 0, -1.0, 0.5 * a[2], polygon)
    count = _clip(polygon, count, 1, 1.0, 0.5 * a[3], other)
    count = _clip(other, count, 1, -1.0, 0.5 * a[3], polygon)
    area = 0.0
    for i in range(count):
        k = i + 1 if i + 1 < count else 0
        area += polygon[2 * i] * polygon[2 * k + 1] - polygon[2 * k] * polygon[2 * i + 1]
    return min(max(0.5 * area, 0.0), min(a[2] * a[3], b[2] * b[3]))
