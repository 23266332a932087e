"""Rotated IoU against an independent construction and by its axioms."""

from __future__ import annotations

from typing import Any

import numpy as np
from box_overlap import iou
from hypothesis import given, settings
from hypothesis import strategies as st

size = st.floats(0.2, 12)
box = st.tuples(st.floats(-8, 8), st.floats(-8, 8), size, size, st.floats(-4, 4))


def corners(b: Any) -> Any:
    x, y, length, width, yaw = b
    local = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [length / 2, width / 2]
    rotation = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    return local @ rotation.T + [x, y]


def area_by_vertices(a: Any, b: Any) -> float:
    """Shared area: hull of corners inside the other box and of all edge crossings, by angle."""
    p, q = corners(a), corners(b)

    def inside(points: Any, c: Any) -> Any:
        edges = np.roll(c, -1, axis=0) - c
        offset = points[:, None] - c[None]
        return (edges[:, 0] * offset[..., 1] - edges[:, 1] * offset[..., 0] >= -1e-9).all(axis=1)

    vertices = [*p[inside(p, q)], *q[inside(q, p)]]
    for i in range(4):
        for j in range(4):
            d, e, o = p[(i + 1) % 4] - p[i], q[(j + 1) % 4] - q[j], q[j] - p[i]
            cross = d[0] * e[1] - d[1] * e[0]
            if abs(cross) < 1e-12:
                continue
            s, t = (o[0] * e[1] - o[1] * e[0]) / cross, (o[0] * d[1] - o[1] * d[0]) / cross
            if -1e-9 <= s <= 1 + 1e-9 and -1e-9 <= t <= 1 + 1e-9:
                vertices.append(p[i] + s * d)
    if len(vertices) < 3:
        return 0.0
    v = np.array(vertices)
    v = v - v.mean(axis=0)
    v = v[np.argsort(np.arctan2(v[:, 1], v[:, 0]))]
    w = np.roll(v, -1, axis=0)
    return float(abs((v[:, 0] * w[:, 1] - v[:, 1] * w[:, 0]).sum()) / 2)


@settings(max_examples=300, deadline=None)
@given(box, box)
def test_agrees_with_an_independent_construction(a: Any, b: Any) -> None:
    shared = area_by_vertices(a, b)
    assert abs(iou(a, b) - shared / (a[2] * a[3] + b[2] * b[3] - shared)) < 1e-6


@settings(max_examples=200, deadline=None)
@given(box, box, st.floats(-100, 100), st.floats(-100, 100), st.floats(-4, 4))
def test_axioms(a: Any, b: Any, dx: float, dy: float, turn: float) -> None:
    value = iou(a, b)
    assert 0.0 <= value <= 1.0
    assert abs(value - iou(b, a)) < 1e-9
    assert abs(iou(a, a) - 1.0) < 1e-9

    def moved(c: Any) -> Any:
        x = np.cos(turn) * c[0] - np.sin(turn) * c[1] + dx
        y = np.sin(turn) * c[0] + np.cos(turn) * c[1] + dy
        return x, y, c[2], c[3], c[4] + turn

    assert abs(value - iou(moved(a), moved(b))) < 1e-7
    opposite = (*b[:4], b[4] + np.pi)
    assert abs(value - iou(a, opposite)) < 1e-9


def test_known_values() -> None:
    square = (0.0, 0.0, 2.0, 2.0, 0.0)
    assert iou(square, (1.0, 0.0, 2.0, 2.0, 0.0)) == 1 / 3
    assert iou(square, (2.0, 0.0, 2.0, 2.0, 0.0)) == 0.0
    assert abs(iou(square, (0.0, 0.0, 2.0, 2.0, np.pi / 4)) - (np.sqrt(2) - 1) / (2 - np.sqrt(2))) < 1e-12
    assert iou(square, (0.0, 0.0, 0.0, 2.0, 0.0)) == 0.0
