"""Small bags with transforms, and frames as a replay gives them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from builtin_interfaces.msg import Time
from clouds import cloud_of
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Writer
from tf2_msgs.msg import TFMessage

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import StageLatencies, StageLatency
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.bag_types import typestore_for
from awml_deploy_ros.live.recording import RecordedFrame
from awml_deploy_ros.replay.frames import PROCESSED, CloudFate, ReplayedBag

TOPIC = "/lidar/points"
MS = 1_000_000
START_MS = 1_700_000_000_000
CLASSES = ("CAR", "PEDESTRIAN")
PERIOD_MS = 100


def cloud_at(after_ms: int, points: Any = None) -> Any:
    """A cloud of the frame base_link, by default of two points."""
    points = np.ones((2, 4)) if points is None else points
    return cloud_of(points, "base_link", divmod((START_MS + after_ms) * MS, 1_000_000_000))


def pose_at(after_ms: int) -> Any:
    """base_link in map: 10 m/s ahead."""
    seconds, nanoseconds = divmod((START_MS + after_ms) * MS, 1_000_000_000)
    transform = TransformStamped(child_frame_id="base_link")
    transform.header.frame_id = "map"
    transform.header.stamp = Time(sec=seconds, nanosec=nanoseconds)
    transform.transform.translation = Vector3(x=after_ms * 0.01, y=0.0, z=0.0)
    transform.transform.rotation = Quaternion(w=1.0)
    return TFMessage(transforms=[transform])


def write_drive(
    path: Path, clouds: Sequence[tuple[int, Any]], poses: Sequence[tuple[int, Any]] = ()
) -> CloudTopic:
    """A bag of messages, each with the time at which it was received [ms after the start]."""
    messages = [(when, 1, "sensor_msgs/msg/PointCloud2", TOPIC, message) for when, message in clouds]
    messages += [(when, 0, "tf2_msgs/msg/TFMessage", "/tf", message) for when, message in poses]
    store = typestore_for("sensor_msgs")
    with Writer(path, version=8) as writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=store)
            for topic, kind in {(topic, kind) for _, _, kind, topic, _ in messages}
        }
        for when, _, _, topic, message in sorted(messages, key=lambda item: item[:2]):
            data = message if isinstance(message, bytes) else bytes(serialize_message(message))
            writer.write(connections[topic], (START_MS + when) * MS, data)
    return CloudTopic.find(path, TOPIC)


def split_drive(path: Path, *clouds: Sequence[tuple[int, Any]]) -> CloudTopic:
    """A bag of several files, as recorders that split by size or time leave it."""
    parts = [path.with_name(f"{path.name}_{number}") for number in range(len(clouds))]
    for part, messages in zip(parts, clouds, strict=True):
        write_drive(part, messages)
    path.mkdir()
    metadata = [yaml.safe_load((part / "metadata.yaml").read_text()) for part in parts]
    whole = metadata[0]["rosbag2_bagfile_information"]
    for other in metadata[1:]:
        more = other["rosbag2_bagfile_information"]
        whole["message_count"] += more["message_count"]
        whole["relative_file_paths"] += more["relative_file_paths"]
        whole["files"] += more["files"]
        for topic, rest in zip(
            whole["topics_with_message_count"], more["topics_with_message_count"], strict=True
        ):
            topic["message_count"] += rest["message_count"]
    for part in parts:
        for file in part.glob("*.db3"):
            file.rename(path / file.name)
    (path / "metadata.yaml").write_text(yaml.safe_dump(metadata[0], sort_keys=False))
    return CloudTopic.find(path, TOPIC)


def boxes(*places: tuple[float, float], score: float = 0.9, label: int = 0) -> Detections:
    """Cars, or boxes of another class, at places seen from above."""
    count = len(places)
    centers = np.zeros((count, 3), np.float32)
    centers[:, :2] = np.array(places, np.float32).reshape(count, 2)
    return Detections(
        centers,
        np.tile(np.array([4.0, 2.0, 1.5], np.float32), (count, 1)),
        np.zeros(count, np.float32),
        np.zeros((count, 2), np.float32),
        np.full(count, score, np.float32),
        np.full(count, label, np.int32),
        CLASSES,
    )


def cloud(
    index: int,
    found: Detections | None,
    past: int = 0,
    fate: str = "malformed",
    past_ns: tuple[int, ...] | None = None,
) -> CloudFate:
    """One cloud of a replay; without boxes it was not processed."""
    stamp_ns = (START_MS + index * PERIOD_MS) * MS
    if found is None:
        return CloudFate(index, stamp_ns, stamp_ns + 5 * MS, fate, "for a test")
    stages = StageLatencies((StageLatency("decode", 1.0), StageLatency("backbone_head", 20.0)))
    past_ns = (
        tuple(stamp_ns - (n + 1) * PERIOD_MS * MS for n in range(past)) if past_ns is None else past_ns
    )
    frame = RecordedFrame(
        stamp_ns, found, stages, 25.0, past, "" if past else "first_frame", past_ns, stamp_ns
    )
    return CloudFate(index, stamp_ns, stamp_ns + 5 * MS, PROCESSED, "", frame)


def replayed_bag(*clouds: CloudFate, mode: Any = "offline", **changes: Any) -> ReplayedBag:
    """A bag of these clouds, all accounted for."""
    dropped: dict[str, int] = {}
    for entry in clouds:
        if entry.frame is None:
            dropped[entry.fate] = dropped.get(entry.fate, 0) + 1
    values: dict[str, Any] = {
        "source": CloudTopic(Path("/bags/drive"), TOPIC, len(clouds)),
        "mode": mode,
        "clouds": clouds,
        "received": len(clouds),
        "dropped": dropped,
        "accounted": len(clouds),
        "seconds": 1.0,
        "bytes": 1000,
        "class_names": CLASSES,
        **changes,
    }
    return ReplayedBag(**values)
