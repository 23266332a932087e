"""Boxes in images come out of every message as they are."""

import numpy as np
import pytest
from message_stubs import provide
from std_msgs.msg import Header

from awml_deploy_core.detections2d import Detections2D

STAMPED = Header(frame_id="camera")
FOUND = Detections2D(
    np.array([(1.5, 2.25, 11.5, 42.25), (0, 0, 3, 4)], np.float32),
    np.array([0.75, 0.5], np.float32),
    np.array([1, 0], np.int32),
    ("car", "bus"),
)


def test_the_record() -> None:
    pytest.importorskip("awml_deploy_msgs")
    from awml_deploy_ros.outputs.image_record import to_image_boxes

    first, second = to_image_boxes(FOUND)
    assert (first.left, first.top, first.right, first.bottom) == (1.5, 2.25, 11.5, 42.25)
    assert (first.class_name, first.label, first.score) == ("bus", 1, 0.75)
    assert (second.class_name, second.label) == ("car", 0)
    assert to_image_boxes(Detections2D.empty(("car",))) == []


def test_vision_detections(monkeypatch: pytest.MonkeyPatch) -> None:
    provide("vision_msgs", monkeypatch)
    from awml_deploy_ros.outputs.detection2d import to_detection2d_array

    message = to_detection2d_array(STAMPED, FOUND)
    assert message.header == STAMPED
    first, _ = message.detections
    assert first.header == STAMPED
    center = first.bbox.center
    assert (center.position.x, center.position.y, center.theta) == (6.5, 22.25, 0.0)
    assert (first.bbox.size_x, first.bbox.size_y) == (10.0, 40.0)
    (result,) = first.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("bus", 0.75)
