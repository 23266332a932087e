"""The node of images says what the command line says, and what became of images that are none."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from awml_deploy_msgs.msg import ImageDetectionFrame
from conftest import ROOT
from image_models import ExportedModel, export_yolox
from node_peer import NodePeer, wait_until
from rclpy.lifecycle import TransitionCallbackReturn
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image

from awml_deploy_core.family import load_family
from awml_deploy_core.image_message import ENCODINGS
from awml_deploy_ros.bag_types import message_class, typestore_for
from awml_deploy_ros.counters import IMAGES
from awml_deploy_ros.diagnostic_keys import processing_keys
from awml_deploy_ros.topics import DETECTION2D
from awml_deploy_ros.yolox_node import YoloxNode

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    return export_yolox(tmp_path_factory.mktemp("yolox"))


@pytest.fixture(scope="module", autouse=True)
def _ros() -> Iterator[None]:
    rclpy.init(args=[])
    yield
    rclpy.try_shutdown()


def message_of(pixels: np.ndarray, encoding: str = "bgr8", second: int = 1, padding: int = 0) -> Image:
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.data = array("B", rows.tobytes())
    message.header.frame_id, message.header.stamp.sec = "camera", second
    return message


def pictures(model: ExportedModel) -> list[np.ndarray]:
    return [sample.input.pixels for sample in load_family("yolox").open_samples(str(model.samples))]


def boxes_of(record: ImageDetectionFrame) -> list[dict[str, Any]]:
    return [
        {
            "class": box.class_name,
            "score": box.score,
            "box": [box.left, box.top, box.right, box.bottom],
        }
        for box in record.boxes
    ]


def test_the_node_finds_what_the_command_line_finds(model: ExportedModel) -> None:
    with NodePeer(YoloxNode, model_path=str(model.bundle)) as peer:
        assert peer.node.trigger_configure() == SUCCESS
        records = peer.collect(ImageDetectionFrame, "output/frame")
        assert peer.node.trigger_activate() == SUCCESS
        for turn, pixels in enumerate(pictures(model)):
            variants = [
                message_of(pixels, second=10 + turn),
                message_of(pixels[..., ::-1], "rgb8", 20 + turn, padding=5),
                message_of(np.pad(pixels, ((0, 0), (0, 0), (0, 1))), "bgra8", 30 + turn),
            ]
            for message in variants:
                before = len(records)
                peer.publish("input/image", message)
                wait_until(lambda before=before: len(records) > before)
                record = records[-1]
                assert record.header == message.header
                assert (record.width, record.height) == (400, 300)
                assert boxes_of(record) == model.frames[turn]["detections"]
        assert len(records[0].boxes) > 0
        first = records[0]
        assert [stage.name for stage in first.stages] == [
            *("queue", "decode_image", "letterbox", "model", "decode", "nms", "publish")
        ]
        assert first.boxes_decoded >= len(first.boxes)
        assert first.boxes_non_finite == 0
        assert (first.counters.received, first.counters.processed) == (1, 1)
        assert first.model.model_name.startswith("yolox/")
        assert first.transport_valid
        wait_until(lambda: peer.status("processing").get("processed") == "6")
        found = peer.status("processing")
        assert set(found) - {"level", "message"} == set(processing_keys(IMAGES))
        assert found["level"] in "01"


def test_vision_msgs_has_the_boxes_of_the_record(model: ExportedModel) -> None:
    pytest.importorskip("vision_msgs.msg")
    parameters = {"model_path": str(model.bundle), "outputs": ["frame", "detection2d"]}
    with NodePeer(YoloxNode, **parameters) as peer:
        assert peer.node.trigger_configure() == SUCCESS
        records = peer.collect(ImageDetectionFrame, "output/frame")
        arrays = peer.collect(message_class(DETECTION2D.type), "output/detections")
        assert peer.node.trigger_activate() == SUCCESS
        peer.publish("input/image", message_of(pictures(model)[0]))
        wait_until(lambda: records and arrays)
    (record,), (array_,) = records, arrays
    assert array_.header == record.header
    assert len(record.boxes) > 0
    for item, box in zip(array_.detections, record.boxes, strict=True):
        center, (result,) = item.bbox.center.position, item.results
        width, height = item.bbox.size_x, item.bbox.size_y
        assert (width, height) == pytest.approx((box.right - box.left, box.bottom - box.top))
        assert (center.x, center.y) == pytest.approx(
            ((box.left + box.right) / 2, (box.top + box.bottom) / 2)
        )
        assert (result.hypothesis.class_id, result.hypothesis.score) == (box.class_name, box.score)


def test_options_change_between_images(model: ExportedModel) -> None:
    with NodePeer(YoloxNode, model_path=str(model.bundle)) as peer:
        assert peer.node.trigger_configure() == SUCCESS
        assert peer.node.get_parameter("post_process_params.score_threshold").value == 0.3
        (result,) = peer.node.set_parameters(
            [rclpy.parameter.Parameter("post_process_params.max_detections", value=1)]
        )
        assert result.successful
        records = peer.collect(ImageDetectionFrame, "output/frame")
        assert peer.node.trigger_activate() == SUCCESS
        peer.publish("input/image", message_of(pictures(model)[0]))
        wait_until(lambda: records)
        assert boxes_of(records[0]) == model.frames[0]["detections"][:1]


def test_malformed_images_are_counted_with_the_reason(model: ExportedModel) -> None:
    good = message_of(pictures(model)[0], second=99)

    def wrong(**changes: Any) -> Image:
        message = message_of(np.zeros((4, 4, 3), np.uint8))
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    cases = {
        "yuv422": wrong(encoding="yuv422"),
        "has no pixels": wrong(height=0, data=array("B")),
        "is shorter than a row": wrong(step=11),
        "wrong length": wrong(data=array("B", b"xyz")),
        "too narrow for the network": message_of(np.zeros((1, 3000, 3), np.uint8)),
    }
    with NodePeer(YoloxNode, model_path=str(model.bundle)) as peer:
        assert peer.node.trigger_configure() == SUCCESS
        records = peer.collect(ImageDetectionFrame, "output/frame")
        assert peer.node.trigger_activate() == SUCCESS
        for number, (words, message) in enumerate(cases.items(), 1):
            peer.publish("input/image", message)
            wait_until(lambda n=number: peer.status("processing").get("dropped.malformed") == str(n))
            found = peer.status("processing")
            assert found["last_error"].startswith("malformed: ImageError: ")
            assert words in found["last_error"]
            assert found["level"] != "0"
            if words == "yuv422":
                assert all(encoding in found["last_error"] for encoding in ENCODINGS)
        peer.publish("input/image", good)
        wait_until(lambda: records)
        counters = records[0].counters
        dropped = {entry.reason: entry.count for entry in counters.dropped}
        assert (counters.received, counters.processed) == (len(cases) + 1, 1)
        assert dropped == {**dict.fromkeys((r.value for r in IMAGES.reasons), 0), "malformed": len(cases)}


def test_every_transition_there_and_back(model: ExportedModel, tmp_path: Path) -> None:
    with NodePeer(YoloxNode, model_path=str(tmp_path / "nowhere")) as peer:
        node = peer.node
        assert node.trigger_configure() == FAILURE
        wait_until(lambda: "nowhere" in peer.status("processing").get("message", ""))
    with NodePeer(YoloxNode, model_path=str(model.bundle)) as peer:
        node = peer.node
        message = message_of(pictures(model)[0])
        for life in range(2):
            assert node.trigger_configure() == SUCCESS
            records = peer.collect(ImageDetectionFrame, "output/frame")
            for turn in range(2):
                assert node.trigger_activate() == SUCCESS
                peer.publish("input/image", message)
                wait_until(lambda turn=turn, records=records: len(records) == turn + 1)
                assert node.trigger_deactivate() == SUCCESS
                wait_until(lambda: not node.count_subscribers(f"{peer.name}/input/image"))
            assert records[-1].counters.received == 2, life
            assert node.trigger_cleanup() == SUCCESS
        wait_until(lambda: peer.status("processing").get("state") == "unconfigured")
        assert node.trigger_shutdown() == SUCCESS
        wait_until(lambda: peer.status("processing").get("state") == "finalized")


def test_a_bundle_of_another_task_is_refused() -> None:
    bundle = ROOT / "models" / "centerpoint_demo" / "bundle"
    with NodePeer(YoloxNode, model_path=str(bundle)) as peer:
        assert peer.node.trigger_configure() == FAILURE
        wait_until(lambda: peer.status("processing").get("level") == "2")
        message = peer.status("processing")["message"]
        assert "is of a model for another node; got detection3d; expected detection2d" in message


def test_an_image_over_budget_is_kept_with_its_record(model: ExportedModel, tmp_path: Path) -> None:
    budget = tmp_path / "budget.yaml"
    limits = {"max_allowed_processing_time_ms": 1e-3, "max_acceptable_consecutive_delay_ms": 1000.0}
    budget.write_text(yaml.safe_dump({"stages": {"letterbox": limits}}))
    parameters = {
        "latency_budget_file": str(budget),
        "snippets.folder": str(tmp_path / "snippets"),
        "snippets.seconds_after": 0.1,
    }
    message = message_of(pictures(model)[0], second=7)
    with NodePeer(YoloxNode, model_path=str(model.bundle), **parameters) as peer:
        assert peer.node.trigger_configure() == SUCCESS
        assert peer.node.trigger_activate() == SUCCESS
        peer.publish("input/image", message)
        wait_until(lambda: peer.status("snippets").get("written") == "1")
        assert peer.status("latency budget")["letterbox.late"] == "1"
    (snippet,) = (tmp_path / "snippets").iterdir()
    with AnyReader([snippet / "bag"], default_typestore=typestore_for("awml_deploy_msgs")) as reader:
        found = {c.topic: reader.deserialize(data, c.msgtype) for c, _, data in reader.messages()}
    assert bytes(found["/yolox/input/image"].data) == bytes(message.data)
    assert "letterbox took" in found["/yolox/output/frame"].over_budget
