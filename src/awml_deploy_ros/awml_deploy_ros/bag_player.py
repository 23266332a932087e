"""Plays the point clouds of a rosbag2, and its transforms, over DDS."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2

from awml_deploy_core.errors import BagError, ParameterError
from awml_deploy_core.files import write_text
from awml_deploy_ros.bag_clouds import CloudTopic, restamped, stamp_ns
from awml_deploy_ros.playback_schedule import scheduled
from awml_deploy_ros.process import FatalErrors, run
from awml_deploy_ros.signals import StopFlag
from awml_deploy_ros.tf.listener import moving_qos, require_messages, static_qos
from awml_deploy_ros.topics import TF_STATIC
from awml_deploy_ros.transport import large_cloud_environment

Stamps = Literal["keep", "now"]
Progress = Callable[[int, int], None]

_MATCH_POLL_S = 0.02
_SETTLE_S = 0.5
"""A subscriber that this side has matched may not have matched this side yet."""


@dataclass(frozen=True)
class PlaybackOptions:
    """How a bag is played."""

    rate_hz: float = 10.0
    loops: int = 1
    """0 plays until stopped."""
    stamps: Stamps = "keep"
    """``keep`` the recorded header stamps, which identify the frames, or set them to ``now``, so
    that the age of a cloud means something. ``now`` changes 8 bytes of the serialised message."""
    transforms: bool = True
    """Play /tf and /tf_static besides, where the bag has them and the stamps are kept: with others
    the recorded transforms have nothing to do."""
    publish_clock: bool = False
    """Publish every cloud's stamp on /clock before it, for nodes under simulated time."""
    subscribers: int = 1
    """How many subscribers to wait for."""
    wait_s: float = 30.0
    linger_s: float = 0.5
    """How long the publisher outlives its last message, so that the middleware can deliver it."""

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.rate_hz <= 1000:
            problems.append(f"rate {self.rate_hz} Hz, expected above 0 and up to 1000")
        if self.loops < 0:
            problems.append(f"loops {self.loops}, expected 0 or more")
        if not 0 <= self.linger_s <= 3600:
            problems.append(f"linger {self.linger_s} s, expected 0 to 3600")
        if self.publish_clock and self.stamps == "now":
            problems.append("the clock follows the recorded stamps, so stamps must be kept")
        if problems:
            raise ParameterError("playback options", "are invalid", problems=problems)


@dataclass(frozen=True)
class PlaybackReport:
    """What was sent."""

    frames: int
    bytes: int
    seconds: float
    """From the first frame's time to the last frame's, plus one period."""
    late_frames: int
    """Frames sent more than one period after their time."""
    sent_at_ns: tuple[int, ...] = ()
    """When every frame was given to the middleware, by the system's clock [ns]."""

    @property
    def rate_hz(self) -> float:
        return self.frames / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        return (
            f"sent {self.frames} clouds, {self.bytes / 1e6:.1f} MB, {self.rate_hz:.2f} Hz, "
            f"{self.late_frames} late"
        )


class BagPlayer:
    """Publishes the serialised clouds of one topic, unchanged but for the stamp, and transforms.

    Raises:
        BagError: The bag is missing or damaged.
        MissingDependencyError: It has transforms to play, and tf2_msgs is not installed.
    """

    def __init__(self, node: Node, source: CloudTopic, topic: str, options: PlaybackOptions) -> None:
        self._node = node
        self._source = source
        self._options = options
        self._publisher = node.create_publisher(PointCloud2, topic, qos_profile_sensor_data)
        wanted = options.transforms and options.stamps == "keep"
        self._transforms = {name: self._publisher_of(name) for name in source.transform_topics() if wanted}
        self._clock = node.create_publisher(Clock, "/clock", 10) if options.publish_clock else None

    def wait_for_subscribers(self, stop: StopFlag) -> None:
        """Wait until enough subscribers are there or ``stop`` is set.

        Raises:
            BagError: They are not there in time.
        """
        deadline = time.monotonic() + self._options.wait_s
        while self._publisher.get_subscription_count() < self._options.subscribers:
            if time.monotonic() >= deadline:
                raise BagError(
                    self._publisher.topic_name,
                    f"not enough subscribers after {self._options.wait_s:g} s",
                    got=self._publisher.get_subscription_count(),
                    expected=self._options.subscribers,
                    hint="Is the node active, and on the same ROS_DOMAIN_ID?",
                )
            if stop.wait(_MATCH_POLL_S):
                return
        stop.wait(_SETTLE_S)

    def play(self, stop: StopFlag, progress: Progress | None = None) -> PlaybackReport:
        """Play until the end or until ``stop`` is set.

        Args:
            stop: Ends the playback after the current frame.
            progress: Called with frames sent and frames in all (0: endless).

        Raises:
            BagError: The bag is damaged or the topic is empty.
        """
        if not self._source.count:
            raise BagError(f"{self._source.bag}#{self._source.name}", "has no messages")
        period = 1.0 / self._options.rate_hz
        total = self._source.count * self._options.loops
        sent = size = late = 0
        sent_at: list[int] = []
        start = time.monotonic()
        for message in scheduled(self._source, self._options.loops, tuple(self._transforms)):
            due = start + message.due * period
            if stop.wait(max(0.0, due - time.monotonic())):
                break
            if not message.is_cloud:
                self._transforms[message.topic].publish(message.data)
                continue
            late += time.monotonic() - due > period
            sent_at.append(time.time_ns())
            self._send(message.data)
            sent += 1
            size += len(message.data)
            if progress is not None:
                progress(sent, total)
        seconds = time.monotonic() - start + period if sent else 0.0
        stop.wait(self._options.linger_s)
        return PlaybackReport(sent, size, seconds, late, tuple(sent_at))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._publisher, *self._transforms.values()):
            self._node.destroy_publisher(publisher)
        if self._clock is not None:
            self._node.destroy_publisher(self._clock)

    def _publisher_of(self, topic: str) -> Any:
        qos = static_qos() if topic == TF_STATIC.name else moving_qos()
        return self._node.create_publisher(require_messages(), topic, qos)

    def _send(self, data: bytes) -> None:
        if self._options.stamps == "now":
            data = restamped(data, self._node.get_clock().now().nanoseconds)
        if self._clock is not None:
            seconds, nanoseconds = divmod(stamp_ns(data), 1_000_000_000)
            self._clock.publish(Clock(clock=Time(sec=seconds, nanosec=nanoseconds)))
        self._publisher.publish(data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bag_player", description=__doc__)
    parser.add_argument("bag", type=Path, help="rosbag2: its folder, or a .db3 or .mcap file")
    parser.add_argument("--topic", help="topic in the bag (default: its only point cloud)")
    parser.add_argument("--to", help="topic to publish (default: as in the bag)")
    parser.add_argument("--rate", type=float, default=10.0, help="clouds a second [Hz] (default: 10)")
    parser.add_argument("--loops", type=int, default=1, help="0 plays until stopped (default: 1)")
    parser.add_argument(
        "--stamps", choices=("keep", "now"), default="keep", help="header stamps (default: keep)"
    )
    parser.add_argument(
        "--no-transforms",
        action="store_true",
        help="leave out /tf and /tf_static, which are else played with the clouds unless stamps are now",
    )
    parser.add_argument("--clock", action="store_true", help="publish the stamps on /clock")
    parser.add_argument("--subscribers", type=int, default=1, help="how many to wait for (default: 1)")
    parser.add_argument("--wait", type=float, default=30.0, help="for at most this long [s] (default: 30)")
    parser.add_argument(
        "--linger",
        type=float,
        default=0.5,
        help="stay for this long after the last cloud [s] (default: 0.5)",
    )
    parser.add_argument("--report", type=Path, metavar="JSON", help="also write what was sent to this file")
    return parser


def main(args: Sequence[str] | None = None) -> int:
    """Play a bag; print what was sent."""
    # Whether clouds get through depends on the process that publishes them. Fast DDS reads this when
    # the first node is made.
    os.environ.update(large_cloud_environment())

    def body(fatal: FatalErrors, chosen: argparse.Namespace) -> None:
        options = PlaybackOptions(
            rate_hz=chosen.rate,
            loops=chosen.loops,
            stamps=chosen.stamps,
            transforms=not chosen.no_transforms,
            publish_clock=chosen.clock,
            subscribers=chosen.subscribers,
            wait_s=chosen.wait,
            linger_s=chosen.linger,
        )
        source = CloudTopic.find(chosen.bag, chosen.topic)
        node = rclpy.create_node("bag_player")
        player = BagPlayer(node, source, chosen.to or source.name, options)
        player.wait_for_subscribers(fatal.stop)
        report = player.play(fatal.stop)
        print(report, flush=True)
        if chosen.report is not None:
            write_text(chosen.report, json.dumps(asdict(report)) + "\n")
        player.close()
        node.destroy_node()

    return run(_parser(), body, args)


if __name__ == "__main__":
    sys.exit(main())
