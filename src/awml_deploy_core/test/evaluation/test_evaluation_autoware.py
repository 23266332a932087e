from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_frames import boxes, frame
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation.autoware import POLICIES, evaluate_autoware
from awml_deploy_core.evaluation.autoware.score import average_precision
from awml_deploy_core.evaluation.footprint import box_corners, overlap_areas
from awml_deploy_core.evaluation.settings import DetectionMetricSettings

THRESHOLDS = {
    "center_distance_bev": (1.0, 2.0),
    "plane_distance": (2.0,),
    "iou_bev": (0.5,),
    "iou_3d": (0.5,),
}


Size = tuple[float, float, float]


def at(x: float, y: float, yaw: float = 0.0, size: Size = (4.0, 2.0, 1.5)) -> Detections:
    return boxes([(x, y)], sizes=np.array([size], np.float32), yaws=np.array([yaw], np.float32))


def area(a: Detections, b: Detections) -> float:
    return float(overlap_areas(box_corners(a), box_corners(b))[0])


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (at(0, 0), 8.0),
        (at(1, 0), 6.0),
        (at(0, 0, np.pi / 2), 4.0),
        (at(0, 0, np.pi), 8.0),
        (at(3.9, 1.9), 0.01),
        (at(4, 0), 0.0),
        (at(9, 9), 0.0),
        (at(0, 0, 0.3, (1.0, 0.5, 1.0)), 0.5),
        # The corners of a diamond of half diagonal sqrt(2) reach 0.414 beyond either long side.
        (at(0, 0, np.pi / 4, (2.0, 2.0, 1.0)), 4 - 2 * (np.sqrt(2) - 1) ** 2),
    ],
)
def test_shared_areas(other: Detections, shared: float) -> None:
    assert area(at(0, 0), other) == pytest.approx(shared, abs=1e-5)
    assert area(other, at(0, 0)) == pytest.approx(shared, abs=1e-5)


SIDES = st.floats(0.3, 6.0)
PLACES = st.tuples(st.floats(-4, 4), st.floats(-4, 4), st.floats(-3.2, 3.2), SIDES, SIDES)


@given(PLACES, PLACES)
def test_shared_areas_are_those_of_a_grid(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    a, b = (at(x, y, yaw, (length, width, 1.0)) for x, y, yaw, length, width in (one, other))
    step = 0.05
    grid = np.mgrid[-9:9:step, -9:9:step].reshape(2, -1).T

    def holds(box: Detections) -> np.ndarray:
        local = grid - box.centers[0, :2]
        cos, sin = np.cos(box.yaws[0]), np.sin(box.yaws[0])
        along, beside = local @ [cos, sin], local @ [-sin, cos]
        return (np.abs(along) <= box.sizes[0, 0] / 2) & (np.abs(beside) <= box.sizes[0, 1] / 2)

    # A grid is wrong by cells on the edges only.
    assert area(a, b) == pytest.approx((holds(a) & holds(b)).sum() * step**2, abs=1.5)


def test_scores_of_the_policies() -> None:
    there = boxes([(10.0, 0.0)], sizes=np.array([[4, 2, 2]], np.float32))
    found = boxes([(11.0, 0.0)], sizes=np.array([[4, 2, 2]], np.float32))
    higher = boxes([(10.0, 0.0)], sizes=np.array([[4, 2, 2]], np.float32))
    higher.centers[:, 2] = 1.0
    scores = {name: float(policy.scores(found, there)[0, 0]) for name, policy in POLICIES.items()}
    assert scores == pytest.approx(
        {
            "center_distance": 1.0,
            "center_distance_bev": 1.0,
            "plane_distance": 1.0,
            "iou_bev": 6 / 10,
            "iou_3d": 6 / 10,
        }
    )
    assert POLICIES["center_distance"].scores(higher, there)[0, 0] == pytest.approx(1.0)
    assert POLICIES["center_distance_bev"].scores(higher, there)[0, 0] == 0
    assert POLICIES["iou_bev"].scores(higher, there)[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert POLICIES["iou_3d"].scores(higher, there)[0, 0] == pytest.approx(1 / 3, abs=1e-6)


def test_plane_distance_is_that_of_the_near_side_whatever_way_it_faces() -> None:
    there = at(10, 0)
    # One metre longer at the rear: the near side is where it was.
    longer = at(10.5, 0, 0.0, (5.0, 2.0, 1.5))
    plane = POLICIES["plane_distance"]
    assert plane.scores(longer, there)[0, 0] == pytest.approx(0.0, abs=1e-6)
    turned = at(10.5, 0, np.pi, (5.0, 2.0, 1.5))
    assert plane.scores(turned, there)[0, 0] == pytest.approx(0.0, abs=1e-5)
    assert plane.scores(at(11, 0), there)[0, 0] == pytest.approx(1.0)


def test_perfect_and_turned_boxes() -> None:
    there = boxes([(5, 0), (25, 0), (45, 0)])
    metrics = evaluate_autoware([frame(there, there)], THRESHOLDS)
    for policy in metrics.policies:
        assert (policy.mean_ap, policy.mean_aph) == (pytest.approx(1.0), pytest.approx(1.0))
        assert [entry.mean_ap for entry in policy.classes] == [pytest.approx(1.0), None, None]
        assert [part.mean_ap for part in policy.by_range] == [*[pytest.approx(1.0)] * 3, None]
    turned = boxes([(5, 0), (25, 0), (45, 0)], yaws=np.full(3, np.pi / 2, np.float32))
    (center,) = evaluate_autoware([frame(turned, there)], {"center_distance_bev": (1.0,)}).policies
    assert center.mean_ap == pytest.approx(1.0)
    # Every match counts half, so recall ends at half with precision 1.
    half = np.interp(np.linspace(0, 1, 101), np.arange(1, 4) / 6, np.ones(3), right=0)
    assert center.mean_aph == pytest.approx(np.maximum(half[11:] - 0.1, 0).mean() / 0.9, abs=0.012)


def test_a_score_decides_who_gets_the_box() -> None:
    there = boxes([(10, 0)])
    found = boxes([(10.9, 0), (10.1, 0)], scores=[0.9, 0.8])
    metrics = evaluate_autoware([frame(found, there)], {"center_distance_bev": (0.5, 1.0)})
    ap = metrics.policies[0].classes[0].ap
    assert ap is not None
    # At 0.5 m the better score finds nothing: precision is half; at 1 m it takes the box.
    assert ap[1.0] == pytest.approx((89 + (0.5 - 0.1) / 0.9) / 90)
    assert ap[0.5] == pytest.approx((0.5 - 0.1) / 0.9)


def test_detections_where_there_is_nothing_are_false_positives() -> None:
    empty = boxes([])
    frames = [frame(boxes([(10, 0)], scores=[0.5]), boxes([(10, 0)]), "0")]
    clean = evaluate_autoware(frames, {"iou_bev": (0.5,)}).policies[0].mean_ap
    frames.append(frame(boxes([(30, 0)], scores=[0.9]), empty, "1"))
    dirty = evaluate_autoware(frames, {"iou_bev": (0.5,)}).policies[0].mean_ap
    assert clean == pytest.approx(1.0)
    assert dirty == pytest.approx((0.5 - 0.1) / 0.9)


def test_limits_leave_boxes_out() -> None:
    there, found = boxes([(10, 0), (80, 0)]), boxes([(10, 0)])
    settings = DetectionMetricSettings(max_distance={"CAR": 50.0}, range_borders=())
    (policy,) = evaluate_autoware([frame(found, there)], {"iou_3d": (0.5,)}, settings).policies
    assert policy.mean_ap == pytest.approx(1.0)
    assert policy.by_range == ()
    assert evaluate_autoware([frame(found, there)], {"iou_3d": ()}).policies == ()


def test_precision_falls_with_recall() -> None:
    hits = np.array([0.0, 1.0, 1.0, 1.0])
    # Precision 0, 1/2, 2/3, 3/4 becomes 3/4 everywhere.
    assert average_precision(hits, hits == 0, 3) == pytest.approx((0.75 - 0.1) / 0.9)
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0


def test_figures_are_those_of_perception_eval() -> None:
    oracle = json.loads(Path(__file__).with_name("perception_eval.json").read_text())

    def made(rows: list[list[float]]) -> Detections:
        table = np.array(rows, np.float32).reshape(-1, 8)
        made = boxes(table[:, :2], sizes=table[:, 3:6], yaws=table[:, 6], scores=table[:, 7])
        made.centers[:, 2] = table[:, 2]
        return made

    pairs = [(made(found), made(there)) for found, there in oracle["frames"]]
    frames = [frame(found, there, str(number)) for number, (found, there) in enumerate(pairs)]
    thresholds = {name: tuple(values) for name, values in oracle["thresholds"].items()}
    settings = DetectionMetricSettings(range_borders=())
    for policy in evaluate_autoware(frames, thresholds, settings).policies:
        car = policy.classes[0]
        assert car.ap is not None
        assert car.aph is not None
        expected = oracle["expected"][policy.policy]
        for kind, figures in (("ap", car.ap), ("aph", car.aph)):
            shown = {str(threshold): value for threshold, value in figures.items()}
            assert shown == pytest.approx(expected[kind], abs=1e-9), (policy.policy, kind)
