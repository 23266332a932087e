"""The messages are documented field by field, and survive serialisation."""

import re
from pathlib import Path

import pytest

MESSAGES = sorted((Path(__file__).parents[1] / "msg").glob("*.msg"))
FIELD = re.compile(r"^(?P<type>[\w/\[\]<>=]+)\s+(?P<name>[a-z]\w*)\s*(?P<rest>.*)$")


def _fields(path: Path) -> list[tuple[str, str]]:
    matches = (FIELD.match(line) for line in path.read_text().splitlines())
    return [(match["name"], match["rest"]) for match in matches if match]


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_every_field_is_commented_with_its_unit(path: Path) -> None:
    fields = _fields(path)
    assert fields
    undocumented = [name for name, rest in fields if not re.match(r"#\s*\[[^\]]+\]", rest)]
    assert undocumented == []


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_every_message_says_what_it_is(path: Path) -> None:
    assert path.read_text().startswith("# ")


def test_every_message_is_built() -> None:
    listed = (Path(__file__).parents[1] / "CMakeLists.txt").read_text()
    assert [path.name for path in MESSAGES if f'"msg/{path.name}"' not in listed] == []


def test_a_frame_survives_serialisation() -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    messages = pytest.importorskip("awml_deploy_msgs.msg")

    box = messages.DetectedBox(class_name="CAR", label=0, score=0.5, has_velocity=True)
    box.pose.position.x, box.size.z, box.velocity.y = 1.25, 1.5, -3.0
    frame = messages.DetectionFrame(boxes=[box], end_to_end_latency_ms=12.5, header_age_valid=True)
    frame.header.frame_id = "base_link"
    frame.header.stamp.nanosec = 5
    frame.stages = [
        messages.StageLatency(name="nms", clock=messages.StageLatency.CLOCK_CUDA, milliseconds=0.25)
    ]
    frame.points.points_truncated = -1
    frame.counters.received = 2
    frame.counters.dropped = [messages.DropCount(reason="superseded", count=1)]
    frame.model.bundle_hash = "0" * 64

    data = serialization.serialize_message(frame)

    assert serialization.deserialize_message(data, messages.DetectionFrame) == frame


def test_the_record_of_an_image_survives_serialisation() -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    messages = pytest.importorskip("awml_deploy_msgs.msg")

    box = messages.ImageBox(
        left=1.5, top=2.0, right=30.25, bottom=40.0, class_name="car", label=1, score=0.5
    )
    frame = messages.ImageDetectionFrame(width=64, height=48, boxes=[box], boxes_non_finite=-1)
    frame.counters.dropped = [messages.DropCount(reason="malformed", count=1)]

    data = serialization.serialize_message(frame)

    assert serialization.deserialize_message(data, messages.ImageDetectionFrame) == frame
