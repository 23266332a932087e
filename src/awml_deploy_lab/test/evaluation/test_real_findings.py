from __future__ import annotations

import math

import numpy as np
import pytest

from awml_deploy_core.detections import Detections
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.points import PointColumns
from awml_deploy_lab.evaluation.labelled_view import Everywhere, LabelledImage
from awml_deploy_lab.evaluation.real_findings import Finding, figures, label_records
from awml_deploy_lab.evaluation.real_scenes import (
    RealScene,
    mounted_boxes,
    mounted_columns,
    points_in_boxes,
)
from awml_extractors.datasets.kitti_labels import KittiCalibration

CLASSES = ("CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN")
CAR, TRUCK = 0, 1
# The velodyne's x axis is the camera's z axis.
FORWARD = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
CAMERA = KittiCalibration(FORWARD, np.array([[700.0, 0, 600, 0], [0, 700, 180, 0], [0, 0, 1, 0]]))


def boxes(*rows):
    """Boxes from x, y, yaw, score and label."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    count = len(table)
    return Detections(
        np.column_stack([table[:, :2], np.full(count, 0.75, np.float32)]),
        np.tile(np.array([4.0, 2.0, 1.5], np.float32), (count, 1)),
        table[:, 2],
        np.zeros((count, 2), np.float32),
        table[:, 3],
        table[:, 4].astype(np.int32),
        CLASSES,
    )


def finding(found, labels, counted=None, view=None):
    unknown = np.full(len(labels), -1, np.int32)
    scene = RealScene(
        "scene",
        "data",
        PointColumns(*np.zeros((3, 1), np.float32)),
        GroundTruth(labels, unknown, unknown),
        np.ones(len(labels), bool) if counted is None else np.array(counted),
        ({"type": "Car"},) * len(labels),
        view or Everywhere(),
    )
    return Finding(scene, found)


def of_cars(*findings, score=0.3):
    """Figures of cars by distance."""
    return {e.max_distance: e for e in figures(findings, [score]) if e.class_name == "CAR"}


def test_recall_by_distance_class_and_range():
    labels = boxes((10, 0, 0, 1, CAR), (15, 5, 0, 1, CAR), (30, 0, 0, 1, CAR), (60, 0, 0, 1, CAR))
    found = boxes((11.8, 0, 0, 0.9, CAR), (15, 5, 0, 0.8, TRUCK), (60, 0, 0, 0.7, CAR))
    cars = of_cars(finding(found, labels))
    assert [cars[d].found for d in (1.5, 2.0)] == [0, 1]
    assert (cars[2.0].labelled, cars[2.0].found_as_any_class) == (3, 2)
    assert (cars[2.0].labelled_by_range, cars[2.0].found_by_range) == ((2, 1), (1, 0))
    assert cars[2.0].recall == pytest.approx(1 / 3)
    assert of_cars(finding(found, labels), score=0.95)[2.0].found == 0


def test_only_detections_of_nothing_are_wrong():
    labels = boxes((10, 0, 0, 1, CAR), (20, 0, 0, 1, CAR), (30, 0, 0, 1, TRUCK), (41, 0, 0, 1, CAR))
    found = boxes(
        (10, 0, 0, 0.9, CAR),  # right
        (20, 0, 0, 0.9, CAR),  # of a label that does not count
        (30, 0, 0, 0.9, CAR),  # of another class
        (39.5, 0, 0, 0.9, CAR),  # of a label out of range
        (50, 0, 0, 0.9, CAR),  # out of range
        (10, 20, 0, 0.9, CAR),  # of nothing
        (10, 30, 0, 0.2, CAR),  # score too low
    )
    cars = of_cars(finding(found, labels, [True, False, True, True]))[2.0]
    assert (cars.labelled, cars.found, cars.false_positives, cars.on_another_class) == (1, 1, 2, 1)
    assert cars.precision == pytest.approx(1 / 3)


def test_detections_outside_of_what_is_labelled_are_not_judged():
    view = LabelledImage(CAMERA, np.eye(4), np.array([[0.0, 0.0, 300.0, 375.0]]))
    labels = boxes((10, 0, 0, 1, CAR))
    found = boxes(
        (10, 0, 0, 0.9, CAR),
        (20, 0, 0, 0.9, CAR),  # in the image
        (20, 15, 0, 0.9, CAR),  # in the ignored region
        (20, 25, 0, 0.9, CAR),  # beside the image
        (-20, 0, 0, 0.9, CAR),  # behind the camera
    )
    cars = of_cars(finding(found, labels, view=view))[2.0]
    assert (cars.found, cars.false_positives, cars.not_judged) == (1, 1, 3)


def test_errors_of_what_is_found():
    labels = boxes((10, 0, 0, 1, CAR), (20, 0, 0, 1, CAR), (0, 30, 0, 1, CAR))
    found = boxes((10.5, 0, 3.1, 0.9, CAR), (20.5, 0, 0.3, 0.9, CAR), (0, 30.5, 1.5, 0.9, CAR))
    errors = of_cars(finding(found, labels))[2.0].errors
    assert errors is not None
    assert (errors.count, errors.away, errors.up) == (3, 0.5, 0.0)
    assert errors.heading == pytest.approx(1 / 3)
    assert errors.heading_modulo_pi == pytest.approx(2 / 3)
    assert errors.size == errors.size_absolute == (0.0, 0.0, 0.0)


def test_labels_say_what_found_them():
    records = label_records(
        finding(boxes((10, 1, 0, 0.4, TRUCK)), boxes((10, 0, 0, 1, CAR), (45, 0, 0, 1, CAR)))
    )
    assert [record["counted"] for record in records] == [True, False]
    assert [record["type"] for record in records] == ["Car", "Car"]
    assert records[0]["found"] is None
    assert records[0]["found_as_any_class"]["class"] == "TRUCK"


def test_a_mounting_moves_points_and_boxes_together():
    quarter = np.array([[0.0, 1, 0, 0.9], [-1, 0, 0, 0], [0, 0, 1, 1.8], [0, 0, 0, 1]])
    one = boxes((3, 10, math.pi / 2, 1, CAR))
    corner = one.centers[0] + np.array([0.9, 1.9, 0.7], np.float32)
    columns = PointColumns(*np.column_stack([corner, corner + 1.0]))
    moved = mounted_boxes(quarter, one)
    np.testing.assert_allclose(moved.centers, [[10.9, -3, 2.55]], rtol=1e-6)
    np.testing.assert_allclose(moved.yaws, [0.0], atol=1e-6)
    assert points_in_boxes(columns, one).tolist() == [1]
    assert points_in_boxes(mounted_columns(quarter, columns), moved).tolist() == [1]
