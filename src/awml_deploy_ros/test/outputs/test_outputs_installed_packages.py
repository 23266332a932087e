"""What the message packages themselves make of the outputs; skipped where they are not installed.

The other tests of the outputs use stand-ins in place of a package that is missing. Here the messages go
through the package's serialisation, a bag and the middleware. See docs/message_packages.md.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from awml_deploy_msgs.msg import DetectionFrame
from clouds import cloud_of
from harness import NODE, Harness, wait_until
from hypothesis import given
from message_stubs import PACKAGES
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import Reader
from std_msgs.msg import Header
from strategies import detections, detections2d

from awml_deploy_core.detections import Detections
from awml_deploy_core.detections2d import Detections2D
from awml_deploy_ros.bag_recorder import BagFile, topics_of
from awml_deploy_ros.bag_types import message_class, typestore_for
from awml_deploy_ros.outputs.image_record import to_image_boxes
from awml_deploy_ros.outputs.record import to_boxes
from awml_deploy_ros.topics import DETECTED_OBJECTS, DETECTION3D

HEADER = Header(frame_id="base_link")
HEADER.stamp.sec, HEADER.stamp.nanosec = 12, 345
POINTS = np.tile(np.array([[1.0, 2.0, 3.0, 50.0]], np.float32), (10, 1))

needs_autoware = pytest.mark.skipif(
    find_spec("autoware_perception_msgs") is None, reason="autoware_perception_msgs is not installed"
)
needs_vision = pytest.mark.skipif(find_spec("vision_msgs") is None, reason="vision_msgs is not installed")


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@needs_autoware
@given(detections)
def test_autoware_objects_say_what_the_record_says(found: Detections) -> None:
    from awml_deploy_ros.outputs.detected_objects import to_detected_objects

    message = over_the_wire(to_detected_objects(HEADER, found))
    assert message.header == HEADER
    for item, box in zip(message.objects, to_boxes(found), strict=True):
        assert item.kinematics.pose_with_covariance.pose == box.pose
        assert item.shape.dimensions == box.size
        assert item.existence_probability == box.score
        assert item.kinematics.has_twist == box.has_velocity


@needs_vision
@given(detections)
def test_vision_detections_say_what_the_record_says(found: Detections) -> None:
    from awml_deploy_ros.outputs.detection3d import to_detection3d_array

    message = over_the_wire(to_detection3d_array(HEADER, found))
    assert message.header == HEADER
    for item, box in zip(message.detections, to_boxes(found), strict=True):
        assert item.bbox.center == box.pose
        assert item.bbox.size == box.size
        (result,) = item.results
        assert result.pose.pose == box.pose
        assert (result.hypothesis.class_id, result.hypothesis.score) == (box.class_name, box.score)


@needs_vision
@given(detections2d)
def test_vision_detections_in_images_say_what_the_record_says(found: Detections2D) -> None:
    from awml_deploy_ros.outputs.detection2d import to_detection2d_array

    message = over_the_wire(to_detection2d_array(HEADER, found))
    assert message.header == HEADER
    for item, box in zip(message.detections, to_image_boxes(found), strict=True):
        assert item.header == HEADER
        center, width, height = item.bbox.center, item.bbox.size_x, item.bbox.size_y
        corners = (
            center.position.x - width / 2,
            center.position.y - height / 2,
            center.position.x + width / 2,
            center.position.y + height / 2,
        )
        assert corners == pytest.approx((box.left, box.top, box.right, box.bottom), abs=1e-6)
        assert center.theta == 0.0
        (result,) = item.results
        assert (result.hypothesis.class_id, result.hypothesis.score) == (box.class_name, box.score)


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_the_stand_ins_have_the_fields_and_constants_of_the_package(package: str) -> None:
    messages = pytest.importorskip(f"{package}.msg")
    for stand_in in PACKAGES[package]():
        real = getattr(messages, stand_in.__name__)
        assert tuple(real.get_fields_and_field_types()) == stand_in.__slots__, real
        for name, value in vars(stand_in).items():
            if name.isupper():
                assert getattr(real, name) == value, (real, name)


@needs_autoware
@needs_vision
@pytest.mark.usefixtures("ros")
def test_the_node_publishes_the_same_boxes_on_every_topic() -> None:
    with Harness(outputs=["frame", "detected_objects", "detection3d"]) as h:
        records = h.collect(DetectionFrame, "output/frame")
        objects = h.collect(message_class(DETECTED_OBJECTS.type), "output/objects")
        boxes = h.collect(message_class(DETECTION3D.type), "output/detections")
        assert h.configure()
        assert h.activate()
        h.publisher.publish(cloud_of(POINTS, "lidar", (7, 8)))
        assert wait_until(lambda: records and objects and boxes)
    (box,) = records[0].boxes
    (item,), (detection,) = objects[0].objects, boxes[0].detections
    assert objects[0].header == boxes[0].header == records[0].header
    assert item.kinematics.pose_with_covariance.pose == detection.bbox.center == box.pose
    assert item.shape.dimensions == detection.bbox.size == box.size


@needs_autoware
@needs_vision
def test_a_recorded_bag_has_them(tmp_path: Path) -> None:
    from awml_deploy_ros.outputs.detected_objects import to_detected_objects
    from awml_deploy_ros.outputs.detection3d import to_detection3d_array

    found = Detections(
        np.ones((1, 3), np.float32),
        np.ones((1, 3), np.float32),
        np.zeros(1, np.float32),
        np.ones((1, 2), np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        ("CAR",),
    )
    made = {
        DETECTED_OBJECTS.of(NODE): to_detected_objects(HEADER, found),
        DETECTION3D.of(NODE): to_detection3d_array(HEADER, found),
    }
    topics = {name: kind for name, kind in topics_of(NODE).items() if name in made}
    assert set(topics) == set(made)
    bag = BagFile(tmp_path / "bag", topics)
    for name, message in made.items():
        bag.write(name, 1, bytes(serialize_message(message)))
    store = typestore_for("autoware_perception_msgs", "vision_msgs")
    with Reader(bag.finish()) as reader:
        read = {c.topic: store.deserialize_cdr(data, c.msgtype) for c, _, data in reader.messages()}
    assert read[DETECTED_OBJECTS.of(NODE)].objects[0].classification[0].label == 1
    assert read[DETECTION3D.of(NODE)].detections[0].results[0].hypothesis.class_id == "CAR"
