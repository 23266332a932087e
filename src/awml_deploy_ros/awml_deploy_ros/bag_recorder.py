"""Records a node's outputs into a rosbag2 that appears whole or not at all."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from rclpy.node import Node
from rclpy.qos import QoSProfile

from awml_deploy_core.errors import BagError
from awml_deploy_core.files import io_errors
from awml_deploy_ros.bag_types import message_class, require_rosbags, typestore_for
from awml_deploy_ros.process import FatalErrors, run_node
from awml_deploy_ros.topics import RECORDED

Storage = Literal["sqlite3", "mcap"]

_QUEUE = 200
_BAG_VERSION: Literal[8] = 8


def topics_of(node_name: str) -> dict[str, str]:
    """Types of a node's output topics by name, where the message package is installed."""
    return {topic.of(node_name): topic.type for topic in RECORDED if find_spec(topic.package)}


class BagFile:
    """A rosbag2 being written beside its final place.

    Raises:
        BagError: The final place is taken.
        MissingDependencyError: rosbags or a message package is not installed.
    """

    def __init__(self, path: Path, topics: Mapping[str, str], storage: Storage = "mcap") -> None:
        require_rosbags()
        from rosbags.rosbag2 import StoragePlugin, Writer

        if path.exists():
            raise BagError(path, "exists already", hint="Choose another path or remove it.")
        with io_errors(path, "cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.counts: Counter[str] = Counter(dict.fromkeys(topics, 0))
        self._store = typestore_for(*{kind.split("/")[0] for kind in topics.values()})
        # The files inside are named after the folder, so the temporary one lies a level deeper.
        self._folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        self._writer = Writer(
            self._folder / path.name, version=_BAG_VERSION, storage_plugin=StoragePlugin[storage.upper()]
        )
        self._writer.open()
        self._connections = {
            topic: self._writer.add_connection(topic, kind, typestore=self._store)
            for topic, kind in topics.items()
        }

    def write(self, topic: str, time_ns: int, data: bytes) -> None:
        """Append a serialised message."""
        self._writer.write(self._connections[topic], time_ns, data)
        self.counts[topic] += 1

    def finish(self) -> Path:
        """Close the bag and put it in its place."""
        self._writer.close()
        os.replace(self._folder / self.path.name, self.path)
        self._folder.rmdir()
        return self.path

    def discard(self) -> None:
        """Close the bag and remove it."""
        self._writer.close()
        shutil.rmtree(self._folder)


class BagRecorder(Node):
    """Writes the serialised messages of topics as they arrive.

    Args:
        path: The bag, which appears when the recorder is closed.
        topics: Message type by topic.
        storage: ``mcap``, or ``sqlite3``, which wants to be spun and closed in the thread that
            made it.

    Raises:
        BagError: The bag exists already.
        MissingDependencyError: A message package is not installed.
    """

    def __init__(
        self, path: Path, topics: Mapping[str, str], storage: Storage = "mcap", **node_options: Any
    ) -> None:
        super().__init__("bag_recorder", **node_options)
        classes = {topic: message_class(kind) for topic, kind in topics.items()}
        self._bag: BagFile | None = BagFile(path, topics, storage)
        qos = QoSProfile(depth=_QUEUE)
        self._subscriptions_of = {
            topic: self.create_subscription(kind, topic, partial(self._write, topic), qos, raw=True)
            for topic, kind in classes.items()
        }

    def start(self) -> None:
        assert self._bag is not None
        self.get_logger().info(f"recording to {self._bag.path}")

    def close(self) -> None:
        """Write what has arrived and finish the bag; calling it twice is allowed."""
        if self._bag is None:
            return
        self._drain()
        bag, self._bag = self._bag, None
        bag.finish()
        counts = ", ".join(f"{topic} {count}" for topic, count in sorted(bag.counts.items()))
        self.get_logger().info(f"recorded {bag.path}: {counts}")

    def _drain(self) -> None:
        """Take what arrived after the executor looked for the last time."""
        for topic, subscription in self._subscriptions_of.items():
            with subscription.handle:
                while (taken := subscription.handle.take_message(subscription.msg_type, True)) is not None:
                    self._write(topic, taken[0])

    def _write(self, topic: str, data: bytes) -> None:
        if self._bag is not None:
            self._bag.write(topic, time.time_ns(), data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bag_recorder", description=__doc__)
    parser.add_argument("bag", type=Path, help="folder of the new rosbag2")
    parser.add_argument("--node", default="/centerpoint", help="whose outputs (default: /centerpoint)")
    parser.add_argument(
        "--topic",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "TYPE"),
        help="a further topic and its type, e.g. /points sensor_msgs/msg/PointCloud2",
    )
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="default: mcap")
    return parser


def main(args: Sequence[str] | None = None) -> int:
    """Record until SIGINT or SIGTERM."""

    def create(fatal: FatalErrors, chosen: argparse.Namespace) -> BagRecorder:
        return BagRecorder(chosen.bag, {**topics_of(chosen.node), **dict(chosen.topic)}, chosen.storage)

    return run_node(_parser(), create, args)


if __name__ == "__main__":
    sys.exit(main())
