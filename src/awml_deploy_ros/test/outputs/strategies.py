"""Detections of every size and shape."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from awml_deploy_core.detections import Detections
from awml_deploy_core.detections2d import Detections2D

CLASSES = ("CAR", "PEDESTRIAN", "traffic_cone")
_COORDINATE = st.floats(-300, 300, width=32)
_SIZE = st.floats(0.1015625, 30, width=32)
_YAW = st.floats(-3.140625, 3.140625, width=32)
_BOX = st.tuples(
    st.tuples(_COORDINATE, _COORDINATE, _COORDINATE),
    st.tuples(_SIZE, _SIZE, _SIZE),
    _YAW,
    st.tuples(_COORDINATE, _COORDINATE),
    st.floats(0, 1, width=32),
    st.integers(0, len(CLASSES) - 1),
)


def _detections(boxes: list, has_velocity: bool) -> Detections:
    if not boxes:
        return Detections.empty(CLASSES, has_velocity=has_velocity)
    centers, sizes, yaws, velocities, scores, labels = zip(*boxes, strict=True)
    return Detections(
        np.array(centers, np.float32),
        np.array(sizes, np.float32),
        np.array(yaws, np.float32),
        np.array(velocities, np.float32),
        np.array(scores, np.float32),
        np.array(labels, np.int32),
        CLASSES,
        has_velocity,
    )


detections = st.builds(_detections, st.lists(_BOX, max_size=6), st.booleans())

_PIXEL = st.floats(-100, 4000, width=32)
_BOX2D = st.tuples(
    _PIXEL,
    _PIXEL,
    st.floats(0, 2000, width=32),
    st.floats(0, 2000, width=32),
    st.floats(0, 1, width=32),
    st.integers(0, len(CLASSES) - 1),
)


def _detections2d(boxes: list) -> Detections2D:
    if not boxes:
        return Detections2D.empty(CLASSES)
    left, top, width, height, scores, labels = (np.array(column) for column in zip(*boxes, strict=True))
    return Detections2D(
        np.stack([left, top, left + width, top + height], axis=1).astype(np.float32),
        scores.astype(np.float32),
        labels.astype(np.int32),
        CLASSES,
    )


detections2d = st.builds(_detections2d, st.lists(_BOX2D, max_size=6))


def same_angle(a: float, b: float) -> bool:
    return abs(math.remainder(a - b, math.tau)) < 1e-6
