from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from box_overlap import iou
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.detections import Detections
from awml_extractors.centerpoint.nms import circle_nms, iou_nms, suppress
from awml_extractors.centerpoint.options import PostprocessOptions

NAMES = ("CAR", "PEDESTRIAN", "BICYCLE")


def boxes(rows: Any) -> Detections:
    """Detections of rows x, y, length, width, yaw, label, with falling scores."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    n = len(table)
    zeros = np.zeros(n, np.float32)
    return Detections(
        np.stack([table[:, 0], table[:, 1], zeros], axis=1),
        np.stack([table[:, 2], table[:, 3], zeros + 1.5], axis=1),
        table[:, 4].copy(),
        np.zeros((n, 2), np.float32),
        np.linspace(1, 0.5, n, dtype=np.float32),
        table[:, 5].astype(np.int32),
        NAMES,
    )


def bev(detections: Detections) -> Any:
    return np.column_stack([detections.centers[:, :2], detections.sizes[:, :2], detections.yaws])


near = st.floats(-6, 6, width=32)
row = st.tuples(
    near, near, st.floats(0.5, 5, width=32), st.floats(0.5, 3, width=32), near, st.integers(0, 2)
)
tables = st.lists(row, max_size=40)


@settings(max_examples=100, deadline=None)
@given(tables, st.floats(0, 3), st.booleans())
def test_circle_nms_is_the_greedy_definition(rows: Any, distance: float, inclusive: bool) -> None:
    detections = boxes(rows)
    limit = np.float32(distance * distance)
    kept: list[int] = []
    for i, center in enumerate(detections.centers):
        d = center[:2] - detections.centers[kept, :2]
        squared = d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1]
        if not ((squared <= limit) if inclusive else (squared < limit)).any():
            kept.append(i)
    keep = circle_nms(detections.centers, distance * distance, inclusive=inclusive)
    assert np.flatnonzero(keep).tolist() == kept
    again = detections.select(keep)
    assert circle_nms(again.centers, distance * distance, inclusive=inclusive).all()


@settings(max_examples=100, deadline=None)
@given(tables, st.floats(0.5, 12), st.floats(0, 0.9))
def test_iou_nms_is_autowares_definition(rows: Any, distance: float, threshold: float) -> None:
    detections = boxes(rows)
    table = bev(detections).astype(float)
    overlap = [[iou(a, b) for b in table] for a in table]
    kept = []
    for i in range(len(detections)):
        suppressed = False
        for j in range(i):
            labels = {NAMES[detections.labels[i]], NAMES[detections.labels[j]]}
            apart = np.hypot(*(detections.centers[i, :2] - detections.centers[j, :2]).astype(float))
            exempt = len(labels) == 2 and "PEDESTRIAN" in labels
            suppressed |= bool(not exempt and apart <= distance and overlap[i][j] > threshold)
        if not suppressed:
            kept.append(i)
    keep = iou_nms(detections, distance, threshold)
    assert np.flatnonzero(keep).tolist() == kept
    assert iou_nms(detections.select(keep), distance, threshold).all()


def test_a_suppressed_box_still_suppresses_by_iou_but_not_by_distance() -> None:
    chain = boxes([(0, 0, 4, 2, 0, 0), (2, 0, 4, 2, 0, 0), (4.1, 0, 4, 2, 0, 0)])
    assert iou_nms(chain, 10, 0.1).tolist() == [True, False, False]
    assert circle_nms(chain.centers, 2.5**2).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("first", "second", "stays"), [(0, 1, True), (1, 0, True), (1, 1, False), (0, 2, False)]
)
def test_only_a_pedestrian_and_another_class_are_exempt(first: int, second: int, stays: bool) -> None:
    pair = boxes([(0, 0, 2, 2, 0, first), (0.2, 0, 2, 2, 0, second)])
    assert iou_nms(pair, 10, 0.1).tolist() == [True, stays]


def test_a_pedestrian_is_one_in_any_case() -> None:
    pair = boxes([(0, 0, 2, 2, 0, 0), (0.2, 0, 2, 2, 0, 1)])
    lower = replace(pair, class_names=tuple(name.lower() for name in NAMES))
    assert iou_nms(lower, 10, 0.1).tolist() == [True, True]


def test_unions_below_autowares_limit_have_no_overlap() -> None:
    tiny = boxes([(0, 0, 0.05, 0.05, 0, 0), (0, 0, 0.05, 0.05, 0, 0)])
    assert iou_nms(tiny, 10, 0.1).all()


@settings(max_examples=50, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_order_of_input_does_not_matter_once_sorted_by_score(rows: Any, random: Any) -> None:
    detections = boxes(rows)
    order = list(range(len(detections)))
    random.shuffle(order)
    shuffled = detections.select(np.array(order, int))
    sorted_again = shuffled.select(np.argsort(-shuffled.scores, kind="stable"))
    options = PostprocessOptions()
    one, two = suppress(detections, options), suppress(sorted_again, options)
    np.testing.assert_array_equal(one.centers, two.centers)


def test_decoders_differ_in_the_meaning_of_the_radius() -> None:
    rows = [(0, 0, 0.2, 0.2, 0, 0), (0.6, 0, 0.2, 0.2, 0, 0), (5, 5, 0.2, 0.2, 0, 0)]
    autoware = PostprocessOptions(circle_nms_dist_threshold=0.5)
    mmdet3d = PostprocessOptions(decoder="mmdet3d", mmdet3d_min_radius=0.5)
    assert len(suppress(boxes(rows), autoware)) == 3
    assert len(suppress(boxes(rows), mmdet3d)) == 2
    assert len(suppress(boxes(rows), mmdet3d.merged({"mmdet3d_post_max": 1}, NAMES))) == 1


def test_no_boxes_and_boxes_far_apart() -> None:
    assert len(suppress(boxes([]), PostprocessOptions())) == 0
    far = boxes([(0, 0, 4, 2, 0, 0), (3e4, -3e4, 4, 2, 0, 0), (0.1, 0, 4, 2, 0, 0)])
    assert len(suppress(far, PostprocessOptions())) == 2
