"""Recording a node's outputs."""

from pathlib import Path

import pytest
import rclpy
from awml_deploy_msgs.msg import DetectedBox, DetectionFrame
from harness import wait_until
from processes import TIMEOUT_S, Process
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rosbags.rosbag2 import Reader

from awml_deploy_core.errors import BagError, MissingDependencyError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_ros.bag_recorder import BagFile, BagRecorder, topics_of
from awml_deploy_ros.bag_types import message_class, typestore_for

FRAME = "/centerpoint/output/frame"
FRAME_TYPE = "awml_deploy_msgs/msg/DetectionFrame"


def read_frames(bag: Path) -> list:
    store = typestore_for("awml_deploy_msgs")
    with Reader(bag) as reader:
        return [
            store.deserialize_cdr(data, connection.msgtype)
            for connection, _, data in reader.messages()
            if connection.topic == FRAME
        ]


def frame(number: int) -> DetectionFrame:
    message = DetectionFrame(end_to_end_latency_ms=float(number))
    message.boxes = [DetectedBox(class_name="CAR", score=0.5)]
    message.header.stamp.sec = number
    return message


def publish(publisher, count: int) -> None:
    assert wait_until(lambda: publisher.get_subscription_count() > 0)
    for number in range(count):
        publisher.publish(frame(number))
    assert publisher.wait_for_all_acked(Duration(seconds=TIMEOUT_S))


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_records_come_back_as_they_were_published(ros, tmp_path: Path, storage: str) -> None:
    path = tmp_path / "deep" / "recording"
    recorder = BagRecorder(path, topics_of("/centerpoint"), storage)
    peer = rclpy.create_node("peer")
    publisher = peer.create_publisher(DetectionFrame, FRAME, 50)
    executor = SingleThreadedExecutor()
    executor.add_node(recorder)
    publish(publisher, 5)

    def received() -> bool:
        executor.spin_once(timeout_sec=0.01)
        return recorder._bag.counts[FRAME] == 5

    assert wait_until(received)
    executor.shutdown()
    assert not path.exists()
    recorder.close()
    recorder.close()
    recorder.destroy_node()
    peer.destroy_node()

    frames = read_frames(path)
    assert [item.end_to_end_latency_ms for item in frames] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert frames[0].boxes[0].class_name == "CAR"
    assert list(path.parent.iterdir()) == [path]


def test_what_has_arrived_is_written_though_nobody_spins_any_more(ros, tmp_path: Path) -> None:
    recorder = BagRecorder(tmp_path / "recording", topics_of("/centerpoint"))
    peer = rclpy.create_node("peer")
    publish(peer.create_publisher(DetectionFrame, FRAME, 50), 5)
    recorder.close()
    recorder.destroy_node()
    peer.destroy_node()
    assert len(read_frames(tmp_path / "recording")) == 5


def test_a_signal_finishes_the_bag(ros, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    peer = rclpy.create_node("peer")
    publisher = peer.create_publisher(DetectionFrame, FRAME, 50)
    with Process("-m", "awml_deploy_ros.bag_recorder", str(path)) as process:
        process.wait_for("recording to")
        publish(publisher, 3)
        process.interrupt()
        assert process.finish() == 0
    peer.destroy_node()
    assert f"{FRAME} 3" in process.output
    assert len(read_frames(path)) == 3


def test_a_bag_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="exists already"):
        BagFile(tmp_path, {FRAME: FRAME_TYPE})
    with Process("-m", "awml_deploy_ros.bag_recorder", str(tmp_path)) as process:
        assert process.finish() == ExitCode.BAD_INPUT
    assert "BagError" in process.output
    assert "Traceback" not in process.output


def test_messages_that_are_not_installed() -> None:
    for kind in ("nowhere_msgs/msg/Thing", "std_msgs/msg/Nothing", "Nothing"):
        with pytest.raises(MissingDependencyError):
            message_class(kind)
    with pytest.raises(MissingDependencyError):
        typestore_for("nowhere_msgs")


def test_only_installed_outputs_are_recorded() -> None:
    topics = topics_of("/a/b/")
    assert topics["/a/b/output/frame"] == FRAME_TYPE
    assert "/diagnostics" in topics
    for kind in topics.values():
        message_class(kind)
