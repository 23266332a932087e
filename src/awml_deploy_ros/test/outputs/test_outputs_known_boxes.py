"""Boxes at known places come out of every message as the conventions say, computed here by hand.

Poses are in the frame of the cloud (REP 103): geometric centre, yaw counter-clockwise from +x. A shape or
size is length, width, height along the box's own x, y, z. Autoware's twist is in the frame of the
object, all other velocities in that of the cloud.
"""

import math

import numpy as np
import pytest
from message_stubs import provide
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from awml_deploy_core.detections import Detections
from awml_deploy_ros.outputs.markers import to_marker_array
from awml_deploy_ros.outputs.record import to_boxes

STAMPED = Header(frame_id="base_link")
STAMPED.stamp.sec, STAMPED.stamp.nanosec = 12, 345
SPEED = 4.0

YAWS = (0.0, math.pi / 2, math.pi, -math.pi / 2, 0.4, 2.0, -2.7, -1.1)
"""Along the axes and in every quadrant."""
FOUND = Detections(
    np.array([(10.0 * i - 30, 5.0 - 3 * i, 0.25 * i) for i in range(8)], np.float32),
    np.array([(4.5 + i, 1.75, 1.25 + i / 4) for i in range(8)], np.float32),
    np.array(YAWS, np.float32),
    # Forward for the even boxes, to their left for the others.
    np.array(
        [
            (SPEED * math.cos(yaw + turn), SPEED * math.sin(yaw + turn))
            for yaw, turn in zip(YAWS, (0.0, math.pi / 2) * 4, strict=True)
        ],
        np.float32,
    ),
    np.linspace(0.9, 0.5, 8, dtype=np.float32),
    np.array([0, 1, 2, 3] * 2, np.int32),
    ("CAR", "TRUCK", "BICYCLE", "PEDESTRIAN"),
)


def forward(quaternion) -> tuple[float, float]:
    """Where a rotation turns the x axis, from the rotation matrix of a quaternion."""
    x, y, z, w = quaternion.x, quaternion.y, quaternion.z, quaternion.w
    assert math.hypot(x, y) == 0.0
    return 1 - 2 * (y * y + z * z), 2 * (x * y + z * w)


def check_pose(pose, index: int) -> None:
    position = (pose.position.x, pose.position.y, pose.position.z)
    assert position == pytest.approx(tuple(FOUND.centers[index]))
    expected = (math.cos(YAWS[index]), math.sin(YAWS[index]))
    assert forward(pose.orientation) == pytest.approx(expected, abs=1e-6)


def check_size(size, index: int) -> None:
    assert (size.x, size.y, size.z) == pytest.approx(tuple(FOUND.sizes[index]))


def check_header(header) -> None:
    assert (header.frame_id, header.stamp.sec, header.stamp.nanosec) == ("base_link", 12, 345)


def test_the_record() -> None:
    boxes = to_boxes(FOUND)
    assert len(boxes) == 8
    for index, box in enumerate(boxes):
        check_pose(box.pose, index)
        check_size(box.size, index)
        assert (box.velocity.x, box.velocity.y) == pytest.approx(tuple(FOUND.velocities[index]))
        assert box.class_name == FOUND.class_names[index % 4]
        assert box.score == pytest.approx(FOUND.scores[index])


def test_autoware_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    provide("autoware_perception_msgs", monkeypatch)
    from awml_deploy_ros.outputs.detected_objects import to_detected_objects

    message = to_detected_objects(STAMPED, FOUND)
    check_header(message.header)
    assert len(message.objects) == 8
    labels = [item.classification[0].label for item in message.objects]
    assert labels == [1, 2, 6, 7] * 2
    for index, item in enumerate(message.objects):
        check_pose(item.kinematics.pose_with_covariance.pose, index)
        check_size(item.shape.dimensions, index)
        twist = item.kinematics.twist_with_covariance.twist
        own = (SPEED, 0.0) if index % 2 == 0 else (0.0, SPEED)
        assert (twist.linear.x, twist.linear.y) == pytest.approx(own, abs=1e-5)
        assert (twist.linear.z, twist.angular.z) == (0.0, 0.0)
        assert item.existence_probability == pytest.approx(FOUND.scores[index])


def test_vision_detections(monkeypatch: pytest.MonkeyPatch) -> None:
    provide("vision_msgs", monkeypatch)
    from awml_deploy_ros.outputs.detection3d import to_detection3d_array

    message = to_detection3d_array(STAMPED, FOUND)
    check_header(message.header)
    assert len(message.detections) == 8
    for index, item in enumerate(message.detections):
        check_header(item.header)
        check_pose(item.bbox.center, index)
        check_size(item.bbox.size, index)
        (result,) = item.results
        assert result.hypothesis.class_id == FOUND.class_names[index % 4]


def test_markers() -> None:
    message = to_marker_array(STAMPED, FOUND, 100.0)
    for marker in message.markers:
        check_header(marker.header)
    solid = [marker for marker in message.markers if marker.type == Marker.CUBE]
    # Class by class: box i of a class is i * 4 + its label.
    order = [label + 4 * turn for label in range(4) for turn in range(2)]
    assert len(solid) == 8
    for marker, index in zip(solid, order, strict=True):
        check_pose(marker.pose, index)
        check_size(marker.scale, index)


@pytest.mark.parametrize(("kind", "reach"), [("heading", None), ("velocity", SPEED)])
def test_lines_of_markers_start_at_the_centre_and_point_where_they_say(
    kind: str, reach: float | None
) -> None:
    message = to_marker_array(STAMPED, FOUND, 100.0)
    for label, name in enumerate(FOUND.class_names):
        (lines,) = [marker for marker in message.markers if marker.ns == f"{name}/{kind}"]
        for turn in range(2):
            index = label + 4 * turn
            start, end = lines.points[2 * turn : 2 * turn + 2]
            assert (start.x, start.y, start.z) == pytest.approx(tuple(FOUND.centers[index]))
            angle = YAWS[index] + (math.pi / 2 if kind == "velocity" and index % 2 else 0.0)
            length = FOUND.sizes[index, 0] / 2 if reach is None else reach
            expected = (length * math.cos(angle), length * math.sin(angle))
            assert (end.x - start.x, end.y - start.y) == pytest.approx(expected, abs=1e-4)
