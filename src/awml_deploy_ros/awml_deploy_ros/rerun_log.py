"""Clouds and detections as a Rerun recording (optional package ``rerun-sdk``).

From a recorded bag of the node's outputs, or from live topics in a process of its own: nothing of this runs
where frames are processed. https://rerun.io shows the file: ``rerun FILE.rrd``.
"""

from __future__ import annotations

import argparse
import math
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data

from awml_deploy_core.errors import ArtifactError, BagError, MissingDependencyError, PointCloudError
from awml_deploy_core.files import io_errors
from awml_deploy_ros.bag_clouds import CloudTopic, bag_errors
from awml_deploy_ros.bag_types import message_class, require_rosbags, typestore_for
from awml_deploy_ros.cloud_input import field_mapping, frame_of
from awml_deploy_ros.outputs.markers import color_of
from awml_deploy_ros.process import FatalErrors, run, spin
from awml_deploy_ros.topics import FRAME, POINT_CLOUD

CLOUD, BOXES, VELOCITIES = "cloud", "detections/boxes", "detections/velocities"
"""Entities of the recording."""
TIMELINE = "stamp"
"""By the stamps of the clouds."""
_MIN_SPEED = 0.5
"""[m/s] below which no velocity is drawn, as in the markers."""
_QUEUE = 50
_MAPPING = field_mapping({"x": "x", "y": "y", "z": "z"})


def require_rerun() -> Any:
    """The module ``rerun``.

    Raises:
        MissingDependencyError: It is not installed.
    """
    if find_spec("rerun") is None:
        raise MissingDependencyError(
            "rerun",
            "not installed",
            expected="rerun-sdk to write a recording",
            hint="pip install rerun-sdk",
        )
    import rerun

    return rerun


class RerunLog:
    """An .rrd file being written beside its final place.

    Args:
        path: The file, which appears when it is finished.
        max_points: Of a larger cloud every nth point is written, so that no more than these are.

    Raises:
        ArtifactError: The file exists, or its folder cannot be made.
        MissingDependencyError: rerun-sdk is not installed.
    """

    def __init__(self, path: Path, max_points: int = 200_000) -> None:
        self._rr = require_rerun()
        if path.exists():
            raise ArtifactError(path, "exists already", hint="Choose another path or remove it.")
        with io_errors(path, "cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._max_points = max_points
        self.clouds = self.frames = 0
        self.malformed: list[str] = []
        """Clouds that are none, and why."""
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        self._stream = self._rr.RecordingStream("awml_deploy")
        self._stream.save(self._temporary)
        self._stream.log("/", self._rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)

    def cloud(self, message: Any) -> None:
        """Write a sensor_msgs/PointCloud2; one that is malformed is noted."""
        try:
            columns = frame_of(message, _MAPPING, check_is_dense=False).sweeps[0].columns
        except PointCloudError as error:
            self.malformed.append(str(error))
            return
        step = max(1, math.ceil(len(columns) / self._max_points))
        points = np.stack([axis[::step] for axis in (columns.x, columns.y, columns.z)], axis=1)
        points = points.astype(np.float32)
        self._at(message.header)
        self._stream.log(CLOUD, self._rr.Points3D(points[np.isfinite(points).all(axis=1)], radii=0.03))
        self.clouds += 1

    def frame(self, message: Any) -> None:
        """Write boxes, labels and velocities of an awml_deploy_msgs/DetectionFrame."""
        self._at(message.header)
        boxes = list(message.boxes)
        # Also where there are none: what was there before would stay.
        self._stream.log(
            BOXES,
            self._rr.Boxes3D(
                centers=_rows([_xyz(box.pose.position) for box in boxes], 3),
                sizes=_rows([_xyz(box.size) for box in boxes], 3),
                quaternions=_rows([(*_xyz(q), q.w) for box in boxes for q in (box.pose.orientation,)], 4),
                labels=[f"{box.class_name} {box.score:.2f}" for box in boxes],
                colors=_colors(boxes),
            ),
        )
        moving = [
            box for box in boxes if box.has_velocity and math.hypot(*_xyz(box.velocity)) >= _MIN_SPEED
        ]
        self._stream.log(
            VELOCITIES,
            self._rr.Arrows3D(
                origins=_rows([_xyz(box.pose.position) for box in moving], 3),
                vectors=_rows([_xyz(box.velocity) for box in moving], 3),
                colors=_colors(moving),
            ),
        )
        self.frames += 1

    def finish(self) -> Path:
        """Put the file in its place."""
        self._end()
        with io_errors(self.path, "cannot be written"):
            os.replace(self._temporary, self.path)
        return self.path

    def discard(self) -> None:
        """Remove what was written."""
        self._end()
        self._temporary.unlink(missing_ok=True)

    def __str__(self) -> str:
        text = f"{self.path}: {self.clouds} clouds, {self.frames} frames"
        if not self.malformed:
            return text
        return f"{text}; {len(self.malformed)} clouds left out: {self.malformed[0]}"

    def _at(self, header: Any) -> None:
        stamp_ns = int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
        self._stream.set_time(TIMELINE, timestamp=np.datetime64(stamp_ns, "ns"))

    def _end(self) -> None:
        self._stream.flush()
        self._stream.disconnect()


def log_bag(log: RerunLog, bag: Path, node_name: str, clouds: CloudTopic | None) -> None:
    """Write the frames of a recorded bag, and clouds of the same or another bag.

    Args:
        log: Gets them.
        bag: What the bag recorder or ``awml-replay`` wrote.
        node_name: Full name of the node whose frames they are.
        clouds: Those that the node was given; None for none.

    Raises:
        BagError: A bag is missing or damaged, or has no frames of that node.
        MissingDependencyError: rosbags is not installed.
    """
    if clouds is not None:
        _each(clouds.bag, clouds.name, log.cloud)
    _each(bag, FRAME.of(node_name), log.frame)


def _each(bag: Path, topic: str, take: Callable[[Any], None]) -> None:
    require_rosbags()
    from rosbags.rosbag2 import Reader

    store = typestore_for("awml_deploy_msgs")
    with bag_errors(bag), Reader(bag) as reader:
        chosen = [entry for entry in reader.connections if entry.topic == topic]
        if not chosen:
            listing = sorted(f"{entry.topic} ({entry.msgtype})" for entry in reader.connections)
            raise BagError(f"{bag}#{topic}", "no such topic", problems=listing)
        for entry, _, data in reader.messages(chosen):
            take(store.deserialize_cdr(data, entry.msgtype))


class RerunLogger(Node):
    """Writes live topics until it is closed.

    Args:
        log: Gets them; finished by :meth:`close`.
        node_name: Full name of the node whose frames are written.
        cloud_topic: The clouds; empty for none.
    """

    def __init__(self, log: RerunLog, node_name: str, cloud_topic: str) -> None:
        super().__init__("rerun_log")
        self._log = log
        self._listen(FRAME.type, FRAME.of(node_name), log.frame, QoSProfile(depth=_QUEUE))
        if cloud_topic:
            self._listen(POINT_CLOUD.type, cloud_topic, log.cloud, qos_profile_sensor_data)

    def start(self) -> None:
        self.get_logger().info(f"writing {self._log.path}")

    def close(self) -> None:
        """Write what has arrived and put the file in its place."""
        for subscription in self.subscriptions:
            with subscription.handle:
                while taken := subscription.handle.take_message(subscription.msg_type, False):
                    subscription.callback(taken[0])
        self._log.finish()

    def _listen(self, kind: str, topic: str, take: Callable[[Any], None], qos: QoSProfile) -> None:
        self.create_subscription(message_class(kind), topic, take, qos)


def _xyz(vector: Any) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z


def _rows(rows: Sequence[tuple[float, ...]], width: int) -> Any:
    return np.array(rows, np.float32).reshape(len(rows), width)


def _colors(boxes: Sequence[Any]) -> Any:
    colors = [color_of(str(box.class_name)) for box in boxes]
    return (255 * np.array(colors, np.float32).reshape(len(colors), 3)).astype(np.uint8)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rerun_log", description=__doc__)
    parser.add_argument("rrd", type=Path, help="the new file")
    parser.add_argument("--node", default="/centerpoint", help="whose frames (default: /centerpoint)")
    parser.add_argument("--bag", type=Path, help="recorded outputs of the node (default: live topics)")
    parser.add_argument(
        "--clouds",
        type=Path,
        help="bag of the clouds (default: none; with --topic, that of --bag)",
    )
    parser.add_argument("--topic", help="the clouds: in the bag (default: its only one), or the live topic")
    parser.add_argument(
        "--max-points", type=int, default=200_000, help="of a cloud; more are thinned out (default: 200000)"
    )
    return parser


def main(args: Sequence[str] | None = None) -> int:
    """Write a bag, or live topics until SIGINT or SIGTERM."""

    def body(fatal: FatalErrors, chosen: argparse.Namespace) -> None:
        log = RerunLog(chosen.rrd, max(1, chosen.max_points))
        try:
            if chosen.bag is None:
                spin(RerunLogger(log, chosen.node, chosen.topic or ""), fatal)
            else:
                of_clouds = chosen.clouds or (chosen.bag if chosen.topic else None)
                clouds = None if of_clouds is None else CloudTopic.find(of_clouds, chosen.topic)
                log_bag(log, chosen.bag, chosen.node, clouds)
                log.finish()
        except BaseException:
            log.discard()
            raise
        print(log, flush=True)

    return run(_parser(), body, args)


if __name__ == "__main__":
    sys.exit(main())
