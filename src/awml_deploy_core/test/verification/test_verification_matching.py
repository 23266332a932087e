from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.detections import Detections
from awml_deploy_core.verification import BoxLimits, DetectionsComparator
from awml_deploy_core.verification.bev_iou import bev_iou
from awml_deploy_core.verification.matching import match_boxes

CLASSES = ("CAR", "BICYCLE")
LIMITS = BoxLimits()
COORDINATE = st.floats(-3, 3, width=32)
SIZE = st.floats(0.5, 4, width=32)
BOX = st.tuples(COORDINATE, COORDINATE, SIZE, SIZE, st.floats(-3.125, 3.125, width=32), st.integers(0, 1))
SCENE = st.lists(BOX, max_size=8)


def detections(rows: list[Any]) -> Detections:
    n = len(rows)
    values = np.array(rows, np.float32).reshape(n, 6)
    return Detections(
        np.column_stack([values[:, :2], np.zeros(n)]).astype(np.float32),
        np.column_stack([values[:, 2:4], np.ones(n)]).astype(np.float32),
        values[:, 4],
        np.zeros((n, 2), np.float32),
        np.linspace(0.9, 0.5, n, dtype=np.float32),
        values[:, 5].astype(np.int32),
        CLASSES,
    )


def turned(boxes: Detections, angle: float, x: float, y: float) -> Detections:
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return Detections(
        (boxes.centers @ rotation.T + [x, y, 0]).astype(np.float32),
        boxes.sizes,
        boxes.yaws + np.float32(angle),
        boxes.velocities,
        boxes.scores,
        boxes.labels,
        boxes.class_names,
    )


@given(SCENE, SCENE)
def test_matching_is_one_to_one_within_class_distance_and_overlap(a: list[Any], b: list[Any]) -> None:
    reference, test = detections(a), detections(b)
    found = match_boxes(reference, test, LIMITS)
    rows, columns = [i for i, _ in found.pairs], [j for _, j in found.pairs]
    assert sorted([*rows, *found.lone_reference]) == list(range(len(reference)))
    assert sorted([*columns, *found.lone_test]) == list(range(len(test)))
    for i, j in found.pairs:
        assert reference.labels[i] == test.labels[j]
        assert np.linalg.norm(reference.centers[i] - test.centers[j]) <= LIMITS.match_distance + 1e-6
        assert bev_iou(reference, i, test, j) >= LIMITS.min_iou


@given(SCENE, SCENE)
def test_no_two_lone_boxes_could_have_been_a_pair(a: list[Any], b: list[Any]) -> None:
    reference, test = detections(a), detections(b)
    found = match_boxes(reference, test, LIMITS)
    for i in found.lone_reference:
        for j in found.lone_test:
            near = np.linalg.norm(reference.centers[i] - test.centers[j]) <= LIMITS.match_distance - 1e-6
            same = reference.labels[i] == test.labels[j]
            assert not (near and same and bev_iou(reference, i, test, j) >= LIMITS.min_iou + 1e-9)


@given(SCENE, SCENE)
def test_sides_can_be_exchanged(a: list[Any], b: list[Any]) -> None:
    reference, test = detections(a), detections(b)
    forth, back = match_boxes(reference, test, LIMITS), match_boxes(test, reference, LIMITS)
    distances = [
        sorted(float(np.linalg.norm(p.centers[i] - q.centers[j])) for i, j in found.pairs)
        for p, q, found in ((reference, test, forth), (test, reference, back))
    ]
    assert distances[0] == pytest.approx(distances[1])


@given(SCENE)
def test_every_box_is_its_own_partner(rows: list[Any]) -> None:
    boxes = detections(rows)
    comparison = DetectionsComparator().compare(boxes, boxes)
    assert comparison
    assert comparison.details["coverage"] == 1.0


@given(BOX, BOX)
def test_overlap_is_symmetric_and_bounded(a: Any, b: Any) -> None:
    first, second = detections([a]), detections([b])
    there, back = bev_iou(first, 0, second, 0), bev_iou(second, 0, first, 0)
    assert 0 <= there <= 1
    assert there == pytest.approx(back, abs=1e-9)
    assert bev_iou(first, 0, first, 0) == pytest.approx(1, abs=1e-6)


@given(BOX, BOX, st.floats(-3, 3), COORDINATE, COORDINATE)
def test_overlap_does_not_depend_on_the_frame(a: Any, b: Any, angle: float, x: float, y: float) -> None:
    first, second = detections([a]), detections([b])
    moved = bev_iou(turned(first, angle, x, y), 0, turned(second, angle, x, y), 0)
    assert moved == pytest.approx(bev_iou(first, 0, second, 0), abs=1e-4)


@given(SIZE, SIZE, st.floats(0, 1))
def test_overlap_of_a_box_moved_along_itself(length: float, width: float, share: float) -> None:
    first = detections([(0, 0, length, width, 0.0, 0)])
    second = detections([(share * length, 0, length, width, 0.0, 0)])
    assert bev_iou(first, 0, second, 0) == pytest.approx((1 - share) / (1 + share), abs=1e-5)
