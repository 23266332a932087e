from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.errors import BagError
from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC
from awml_extractors.datasets.bag import CloudBag, list_topics
from awml_extractors.datasets.bag_messages import (
    StampedCloud,
    StampedOdometry,
    StampedTransform,
    quaternion_of,
)
from awml_extractors.datasets.bag_writer import TopicStream, write_bag

pytest.importorskip("rosbags")


def transform(stamp_ns: int, matrix: np.ndarray | None = None) -> StampedTransform:
    return StampedTransform(np.eye(4) if matrix is None else matrix, stamp_ns, "map", "base_link")


def cloud(stamp_ns: int, received_ns: int | None = None) -> StampedCloud:
    return StampedCloud(np.zeros(3, POINT_XYZIRC), stamp_ns, "base_link", received_ns)


def everything(path: Path) -> list[tuple[str, int, Any]]:
    from rosbags.rosbag2 import Reader
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    with Reader(path) as reader:
        return [
            (connection.topic, stamp, store.deserialize_cdr(raw, connection.msgtype))
            for connection, stamp, raw in reader.messages()
        ]


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_topics_are_merged_by_reception(storage: str, tmp_path: Path) -> None:
    streams = [
        TopicStream("/b", StampedCloud, [cloud(0, 25), cloud(20, 45)]),
        TopicStream("/a", StampedTransform, map(transform, range(0, 60, 10))),
    ]
    counts = write_bag(tmp_path / "bag", streams, storage=storage)
    assert counts == {"/b": 2, "/a": 6}
    found = [(topic, time) for topic, time, _ in everything(tmp_path / "bag")]
    assert found == [
        ("/a", 0),
        ("/a", 10),
        ("/a", 20),
        ("/b", 25),
        ("/a", 30),
        ("/a", 40),
        ("/b", 45),
        ("/a", 50),
    ]
    assert [str(topic) for topic in list_topics(tmp_path / "bag")] == [
        "/a (tf2_msgs/msg/TFMessage, 6 messages)",
        "/b (sensor_msgs/msg/PointCloud2, 2 messages)",
    ]
    recorded = list(CloudBag.open(tmp_path / "bag"))
    assert [(cloud.stamp_ns, cloud.received_ns) for cloud in recorded] == [(0, 25), (20, 45)]


def test_odometry_is_written_field_by_field(tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[:2, :2] = [[0, -1], [1, 0]]
    matrix[:3, 3] = 1.5, -2.5, 3.5
    stamp_ns = 1_700_000_000_000_000_007
    item = StampedOdometry(
        matrix, np.array([4.0, 5, 6]), np.array([0.1, 0.2, 0.3]), stamp_ns, "map", "base_link"
    )
    write_bag(tmp_path / "bag", [TopicStream("/odometry", StampedOdometry, [item])])
    ((_, time, message),) = everything(tmp_path / "bag")
    assert time == stamp_ns
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 7)
    assert (message.header.frame_id, message.child_frame_id) == ("map", "base_link")
    position, turn = message.pose.pose.position, message.pose.pose.orientation
    assert (position.x, position.y, position.z) == (1.5, -2.5, 3.5)
    assert (turn.x, turn.y) == (0, 0)
    assert turn.z == pytest.approx(math.sqrt(0.5))
    assert turn.w == pytest.approx(math.sqrt(0.5))
    twist = message.twist.twist
    assert (twist.linear.x, twist.linear.y, twist.linear.z) == (4, 5, 6)
    assert (twist.angular.x, twist.angular.y, twist.angular.z) == (0.1, 0.2, 0.3)
    assert not message.pose.covariance.any()
    assert not message.twist.covariance.any()


def test_only_latched_topics_name_a_profile(tmp_path: Path) -> None:
    from rosbags.interfaces import QosDurability, QosHistory
    from rosbags.rosbag2 import Reader

    streams = [
        TopicStream("/tf_static", StampedTransform, [transform(1)], latched=True),
        TopicStream("/tf", StampedTransform, [transform(2)]),
    ]
    write_bag(tmp_path / "bag", streams)
    with Reader(tmp_path / "bag") as reader:
        profiles = {found.topic: found.ext.offered_qos_profiles for found in reader.connections}
    assert profiles["/tf"] == []
    (static,) = profiles["/tf_static"]
    assert (static.durability, static.history, static.depth) == (
        QosDurability.TRANSIENT_LOCAL,
        QosHistory.KEEP_LAST,
        1,
    )


def test_streams_are_consumed_one_item_ahead(tmp_path: Path) -> None:
    reached = {"/a": 0, "/b": 0}

    def watched(topic: str) -> Iterator[StampedTransform]:
        for stamp in range(0, 500, 10):
            reached[topic] = stamp
            assert max(reached.values()) - min(reached.values()) <= 10
            yield transform(stamp)

    write_bag(tmp_path / "bag", [TopicStream(t, StampedTransform, watched(t)) for t in reached])
    assert reached == {"/a": 490, "/b": 490}


@pytest.mark.parametrize(
    ("streams", "problem"),
    [
        ([("/a", [transform(2), transform(1)])], "/a: messages are not in order; got 1 ns after 2 ns"),
        ([("/a", [cloud(1)])], "/a: item of another kind; got StampedCloud; expected StampedTransform"),
        ([("/a", []), ("/a", [])], "two streams have one topic"),
        ([("/a", [transform(1, np.eye(3))])], r"wrong shape; got \(3, 3\)"),
        ([("/a", [transform(1, 1.01 * np.eye(4))])], "map -> base_link at 1 ns: not a rigid transform"),
        ([("/a", [transform(1, np.diag([1.0, 1, -1, 1]))])], "not a rigid transform"),
        ([("/a", [transform(1, np.full((4, 4), np.nan))])], "not a rigid transform"),
    ],
)
def test_what_cannot_be_recorded_leaves_nothing(streams: Any, problem: str, tmp_path: Path) -> None:
    found = [TopicStream(topic, StampedTransform, items) for topic, items in streams]
    with pytest.raises(BagError, match=problem):
        write_bag(tmp_path / "bag", found)
    assert list(tmp_path.iterdir()) == []


def test_velocity_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    item = StampedOdometry(np.eye(4), np.array([np.nan, 0, 0]), np.zeros(3), 0, "map", "base_link")
    with pytest.raises(BagError, match="velocity is not finite"):
        write_bag(tmp_path / "bag", [TopicStream("/odometry", StampedOdometry, [item])])


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: sum(v * v for v in q) > 1e-3),
)
def test_quaternion_is_that_of_the_rotation(values: tuple[float, float, float, float]) -> None:
    x, y, z, w = np.array(values) / np.linalg.norm(values)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    found = quaternion_of(rotation)
    assert found[3] >= 0
    assert abs(found @ [x, y, z, w]) == pytest.approx(1.0, abs=1e-12)
