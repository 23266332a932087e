"""Bags over real DDS."""

import threading
from pathlib import Path

import numpy as np
import pytest
import rclpy
from clouds import cloud_of
from geometry_msgs.msg import TransformStamped
from harness import wait_until
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from awml_deploy_core.errors import BagError, ParameterError, PointCloudError
from awml_deploy_ros.bag_clouds import CloudTopic, restamped, stamp_ns
from awml_deploy_ros.bag_player import BagPlayer, PlaybackOptions
from awml_deploy_ros.bag_types import typestore_for
from awml_deploy_ros.signals import StopFlag
from awml_deploy_ros.tf.listener import moving_qos, static_qos
from awml_deploy_ros.topics import TF

TOPIC = "/lidar/points"


def clouds(count: int = 3) -> list:
    return [cloud_of(np.full((5, 4), number), "lidar", (100 + number, number)) for number in range(count)]


def write_bag(path: Path, topics: dict[str, tuple[str, list]]) -> Path:
    store = typestore_for("sensor_msgs")
    with Writer(path, version=8) as writer:
        for topic, (kind, messages) in topics.items():
            connection = writer.add_connection(topic, kind, typestore=store)
            for index, message in enumerate(messages):
                writer.write(connection, index + 1, bytes(serialize_message(message)))
    return path


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    strings = ("std_msgs/msg/String", [String(data="hello")])
    return write_bag(tmp_path / "bag", {TOPIC: ("sensor_msgs/msg/PointCloud2", clouds()), "/chat": strings})


class Listener:
    """Receives clouds and clock messages in a thread."""

    def __init__(self) -> None:
        self.clouds: list = []
        self.clocks: list = []
        self.node = rclpy.create_node("listener")
        # Deep enough for a busy machine: what is tested is the player.
        qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.node.create_subscription(PointCloud2, TOPIC, self.clouds.append, qos)
        self.node.create_subscription(Clock, "/clock", self.clocks.append, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()


@pytest.fixture
def listener(ros):
    found = Listener()
    yield found
    found.close()


def play(bag: Path, **options):
    node = rclpy.create_node("player")
    player = BagPlayer(node, CloudTopic.find(bag), TOPIC, PlaybackOptions(rate_hz=50.0, **options))
    stop = StopFlag()
    player.wait_for_subscribers(stop)
    report = player.play(stop)
    player.close()
    node.destroy_node()
    return report


def test_clouds_arrive_as_they_were_recorded(bag: Path, listener: Listener) -> None:
    report = play(bag, loops=2)
    assert wait_until(lambda: len(listener.clouds) == 6)
    assert listener.clouds[:3] == clouds()
    assert listener.clouds[3:] == clouds()
    assert report.frames == 6
    assert report.rate_hz <= 50.0
    # Slower only by what it says was late.
    assert report.late_frames or report.rate_hz > 35.0
    assert not listener.clocks


def test_stamps_can_be_now(bag: Path, listener: Listener) -> None:
    before = listener.node.get_clock().now().nanoseconds
    play(bag, stamps="now")
    assert wait_until(lambda: len(listener.clouds) == 3)
    after = listener.node.get_clock().now().nanoseconds
    stamps = [
        message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in listener.clouds
    ]
    assert stamps == sorted(stamps)
    assert all(before < stamp < after for stamp in stamps)
    assert [message.data for message in listener.clouds] == [message.data for message in clouds()]
    assert listener.clouds[0].header.frame_id == "lidar"


def test_the_clock_follows_the_stamps(bag: Path, listener: Listener) -> None:
    play(bag, publish_clock=True)
    assert wait_until(lambda: len(listener.clocks) == 3)
    assert [message.clock.sec for message in listener.clocks] == [100, 101, 102]


def test_stopping_ends_an_endless_playback(bag: Path, listener: Listener) -> None:
    stop = StopFlag()
    node = rclpy.create_node("player")
    player = BagPlayer(node, CloudTopic.find(bag), TOPIC, PlaybackOptions(rate_hz=100.0, loops=0))
    player.wait_for_subscribers(stop)
    seen = []

    def progress(sent: int, total: int) -> None:
        seen.append((sent, total))
        if sent == 7:
            stop.set()

    assert player.play(stop, progress).frames == 7
    assert seen[-1] == (7, 0)
    player.close()
    node.destroy_node()


def test_too_few_subscribers_is_a_typed_error(bag: Path, ros) -> None:
    node = rclpy.create_node("player")
    player = BagPlayer(node, CloudTopic.find(bag), "/nobody", PlaybackOptions(wait_s=0.1))
    with pytest.raises(BagError, match="not enough subscribers"):
        player.wait_for_subscribers(StopFlag())
    node.destroy_node()


@pytest.mark.parametrize(
    "options", [{"rate_hz": 0.0}, {"loops": -1}, {"publish_clock": True, "stamps": "now"}]
)
def test_contradictory_options_are_refused(options: dict) -> None:
    with pytest.raises(ParameterError):
        PlaybackOptions(**options)


def test_topics_that_cannot_be_played(bag: Path, tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no such topic") as error:
        CloudTopic.find(bag, "/chat")
    assert any(TOPIC in problem for problem in error.value.problems)
    with pytest.raises(BagError, match="no such bag"):
        CloudTopic.find(tmp_path / "missing")
    cloud_type = "sensor_msgs/msg/PointCloud2"
    two = write_bag(tmp_path / "two", {"/a": (cloud_type, clouds(1)), "/b": (cloud_type, clouds(1))})
    with pytest.raises(BagError, match="2 topics"):
        CloudTopic.find(two)
    assert CloudTopic.find(two, "/b").count == 1


def test_a_damaged_bag_is_a_typed_error(bag: Path) -> None:
    (storage,) = bag.glob("*.db3")
    storage.write_bytes(storage.read_bytes()[:1000])
    with pytest.raises(BagError, match="cannot be read"):
        list(CloudTopic.find(bag).messages())


@pytest.mark.parametrize("compression", [None, "FILE", "MESSAGE", "STORAGE"])
def test_damage_to_any_storage_is_a_typed_error(compression: str | None, tmp_path: Path) -> None:
    plugin = StoragePlugin.MCAP if compression in (None, "STORAGE") else StoragePlugin.SQLITE3
    writer = Writer(tmp_path / "bag", version=8, storage_plugin=plugin)
    if compression is not None:
        writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(
            TOPIC, "sensor_msgs/msg/PointCloud2", typestore=typestore_for("sensor_msgs")
        )
        writer.write(connection, 1, bytes(serialize_message(clouds(1)[0])))
    (storage,) = (path for path in (tmp_path / "bag").iterdir() if path.name != "metadata.yaml")
    content = storage.read_bytes()
    if compression is None:
        # The size of the first record, larger than any memory.
        changed = content[:9] + (2**62).to_bytes(8, "little") + content[17:]
    else:
        # The frame header behind zstd's magic number.
        header = content.index(b"\x28\xb5\x2f\xfd") + 4
        changed = content[:header] + b"\xff" * 4 + content[header + 4 :]
    storage.write_bytes(changed)
    with pytest.raises(BagError, match="cannot be read"):
        list(CloudTopic.find(tmp_path / "bag").messages())


def test_a_message_without_a_stamp_is_a_typed_error() -> None:
    for data in (b"", b"\x00\x01\x00\x00" + bytes(7)):
        with pytest.raises(PointCloudError, match="too short for a stamp"):
            stamp_ns(data)
        with pytest.raises(PointCloudError, match="too short for a stamp"):
            restamped(data, 1)


def test_a_stamp_is_found_in_either_byte_order() -> None:
    little = bytes(serialize_message(clouds(1)[0]))
    assert stamp_ns(little) == 100 * 10**9
    changed = restamped(little, 7 * 10**9 + 8)
    assert stamp_ns(changed) == 7 * 10**9 + 8
    assert len(changed) == len(little)
    big = b"\x00\x00" + little[2:4] + (5).to_bytes(4, "big") + (6).to_bytes(4, "big")
    assert stamp_ns(big) == 5 * 10**9 + 6
    assert stamp_ns(restamped(big, 9)) == 9


def transforms_bag(path: Path) -> Path:
    """Three clouds received 100 ms apart, a static transform before them, two moving ones between."""
    store = typestore_for("sensor_msgs", "tf2_msgs")
    static, *moving = (transform_of_stamp(second) for second in (0, 100, 101, 102))
    received = [
        ("/tf_static", static, 0),
        (TOPIC, clouds()[0], 100),
        ("/tf", moving[0], 150),
        (TOPIC, clouds()[1], 200),
        ("/tf", moving[1], 201),
        (TOPIC, clouds()[2], 300),
        ("/tf", moving[2], 350),
    ]
    kinds = {"/tf": TF.type, "/tf_static": TF.type, TOPIC: "sensor_msgs/msg/PointCloud2"}
    with Writer(path, version=8) as writer:
        connections = {
            name: writer.add_connection(name, kind, typestore=store) for name, kind in kinds.items()
        }
        for topic, message, time in received:
            writer.write(connections[topic], time * 1_000_000, bytes(serialize_message(message)))
    return path


def transform_of_stamp(second: int) -> TFMessage:
    transform = TransformStamped(child_frame_id="base_link")
    transform.header.frame_id = "map"
    transform.header.stamp.sec = second
    return TFMessage(transforms=[transform])


def test_transforms_are_played_with_the_clouds_and_static_ones_stay(tmp_path: Path, listener) -> None:
    bag = transforms_bag(tmp_path / "bag")
    assert CloudTopic.find(bag).transform_topics() == ("/tf_static", "/tf")
    moving: list[int] = []

    def note(message: TFMessage) -> None:
        moving.append(message.transforms[0].header.stamp.sec)

    listener.node.create_subscription(TFMessage, "/tf", note, moving_qos())
    node = rclpy.create_node("player")
    player = BagPlayer(node, CloudTopic.find(bag), TOPIC, PlaybackOptions(rate_hz=20.0, linger_s=0.0))
    stop = StopFlag()
    player.wait_for_subscribers(stop)
    assert wait_until(lambda: player._transforms["/tf"].get_subscription_count() > 0)
    assert player.play(stop).frames == 3
    assert wait_until(lambda: len(moving) == 3 and len(listener.clouds) == 3)
    assert moving == [100, 101, 102]
    static: list = []
    # Who comes after the player has published gets it all the same.
    listener.node.create_subscription(TFMessage, "/tf_static", static.append, static_qos())
    assert wait_until(lambda: len(static) == 1)
    player.close()
    node.destroy_node()


@pytest.mark.parametrize("options", [{"transforms": False}, {"stamps": "now"}])
def test_transforms_can_be_left_out(tmp_path: Path, ros, options: dict) -> None:
    node = rclpy.create_node("player")
    source = CloudTopic.find(transforms_bag(tmp_path / "bag"))
    player = BagPlayer(node, source, TOPIC, PlaybackOptions(**options))
    assert not player._transforms
    player.close()
    node.destroy_node()
