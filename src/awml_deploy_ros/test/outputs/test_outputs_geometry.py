"""Every message says the same about a box."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from message_stubs import provide
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from strategies import detections, same_angle
from visualization_msgs.msg import Marker, MarkerArray

from awml_deploy_core.detections import Detections
from awml_deploy_ros.outputs.geometry import boxes_of, quaternion_of, yaw_of
from awml_deploy_ros.outputs.markers import to_marker_array
from awml_deploy_ros.outputs.record import to_boxes

HEADER = Header(frame_id="lidar")
SHARED_FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def pose_tuple(pose) -> tuple:
    p = pose.position
    return (p.x, p.y, p.z, yaw_of(pose.orientation))


def xyz(vector) -> tuple:
    return (vector.x, vector.y, vector.z)


@given(st.floats(-math.pi, math.pi))
def test_yaw_survives_the_quaternion(yaw: float) -> None:
    quaternion = quaternion_of(yaw)
    assert math.hypot(quaternion.z, quaternion.w) == pytest.approx(1.0)
    assert same_angle(yaw_of(quaternion), yaw)


@given(detections)
def test_the_record_holds_the_detections(found: Detections) -> None:
    boxes = to_boxes(found)
    assert len(boxes) == len(found)
    for index, box in enumerate(boxes):
        assert pose_tuple(box.pose)[:3] == tuple(found.centers[index].tolist())
        assert same_angle(yaw_of(box.pose.orientation), float(found.yaws[index]))
        assert xyz(box.size) == tuple(found.sizes[index].tolist())
        assert xyz(box.velocity) == (*found.velocities[index].tolist(), 0.0)
        assert box.score == float(found.scores[index])
        assert (box.label, box.class_name) == (
            found.labels[index],
            found.class_names[found.labels[index]],
        )
        assert box.has_velocity == found.has_velocity
        assert deserialize_message(serialize_message(box), type(box)) == box


@given(detections)
def test_markers_agree_with_the_record(found: Detections) -> None:
    array = to_marker_array(HEADER, found, 250.0)
    solid = {(marker.ns, marker.id): marker for marker in array.markers if marker.type == Marker.CUBE}
    expected = {}
    counts: dict[str, int] = {}
    for box in to_boxes(found):
        number = counts.get(box.class_name, 0)
        counts[box.class_name] = number + 1
        expected[f"{box.class_name}/box", number] = box
    assert set(solid) == set(expected)
    for key, box in expected.items():
        assert solid[key].pose == box.pose
        assert solid[key].scale == box.size
    assert len({(marker.ns, marker.id) for marker in array.markers}) == len(array.markers)
    for marker in array.markers:
        assert marker.header.frame_id == "lidar"
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (0, 250_000_000)
        assert marker.action == Marker.ADD
    received = deserialize_message(serialize_message(array), MarkerArray)
    assert [(m.ns, m.id, m.pose, m.points) for m in received.markers] == [
        (m.ns, m.id, m.pose, m.points) for m in array.markers
    ]


@SHARED_FIXTURES
@given(found=detections)
def test_autoware_objects_agree_with_the_record(found: Detections, monkeypatch) -> None:
    provide("autoware_perception_msgs", monkeypatch)
    from awml_deploy_ros.outputs.detected_objects import to_detected_objects

    objects = to_detected_objects(HEADER, found).objects
    for item, box in zip(objects, to_boxes(found), strict=True):
        kinematics = item.kinematics
        assert kinematics.pose_with_covariance.pose == box.pose
        assert item.shape.dimensions == box.size
        assert item.existence_probability == pytest.approx(box.score)
        assert kinematics.has_twist == found.has_velocity
        twist = kinematics.twist_with_covariance.twist.linear
        yaw = yaw_of(box.pose.orientation)
        in_cloud = (
            math.cos(yaw) * twist.x - math.sin(yaw) * twist.y,
            math.sin(yaw) * twist.x + math.cos(yaw) * twist.y,
        )
        expected = (box.velocity.x, box.velocity.y) if found.has_velocity else (0.0, 0.0)
        assert in_cloud == pytest.approx(expected, abs=1e-4)


@SHARED_FIXTURES
@given(found=detections)
def test_vision_detections_agree_with_the_record(found: Detections, monkeypatch) -> None:
    provide("vision_msgs", monkeypatch)
    from awml_deploy_ros.outputs.detection3d import to_detection3d_array

    array = to_detection3d_array(HEADER, found)
    assert array.header == HEADER
    for item, box in zip(array.detections, to_boxes(found), strict=True):
        assert item.header == HEADER
        assert item.bbox.center == box.pose
        assert item.bbox.size == box.size
        (result,) = item.results
        assert result.pose.pose == box.pose
        assert (result.hypothesis.class_id, result.hypothesis.score) == (box.class_name, box.score)


@pytest.mark.parametrize(
    ("class_name", "label", "availability"),
    [("CAR", 1, 1), ("truck", 2, 1), ("PEDESTRIAN", 7, 0), ("BICYCLE", 6, 0), ("traffic_cone", 0, 0)],
)
def test_labels_and_orientation_of_autoware_objects(
    class_name: str, label: int, availability: int, monkeypatch
) -> None:
    provide("autoware_perception_msgs", monkeypatch)
    from awml_deploy_ros.outputs.detected_objects import to_detected_objects

    one = np.ones((1, 3), np.float32)
    found = Detections(one, one, one[0, :1], one[:, :2], one[0, :1], np.zeros(1, np.int32), (class_name,))
    (item,) = to_detected_objects(HEADER, found).objects
    (classification,) = item.classification
    assert (classification.label, item.kinematics.orientation_availability) == (label, availability)
    assert item.shape.type == 0


def test_labels_are_those_of_the_installed_package() -> None:
    messages = pytest.importorskip("autoware_perception_msgs.msg")
    from awml_deploy_ros.outputs.classification import LABELS

    assert {name: getattr(messages.ObjectClassification, name) for name in LABELS} == LABELS


def test_velocity_in_the_frame_of_the_box() -> None:
    found = Detections(
        np.zeros((1, 3), np.float32),
        np.ones((1, 3), np.float32),
        np.array([math.pi / 2], np.float32),
        np.array([[0.0, 5.0]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        ("CAR",),
    )
    (box,) = boxes_of(found)
    assert box.velocity_in_box == pytest.approx((5.0, 0.0), abs=1e-5)
