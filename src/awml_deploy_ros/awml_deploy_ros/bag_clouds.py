"""Serialised PointCloud2 messages of a rosbag2, and its transforms, without decoding them."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from awml_deploy_core import bag_damage
from awml_deploy_core.errors import BagError, PointCloudError
from awml_deploy_ros.bag_types import require_rosbags
from awml_deploy_ros.topics import TF, TF_STATIC

POINT_CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"

# CDR: four bytes of encapsulation, of which the second tells the byte order, then the header's
# stamp, which is the message's first field.
_STAMP_OFFSET = 4
_STAMP_END = _STAMP_OFFSET + 8
_LITTLE_ENDIAN_BIT = 1


def stamp_ns(data: bytes) -> int:
    """Stamp of a serialised message that starts with a std_msgs/Header [ns].

    Raises:
        PointCloudError: The message is too short for a stamp.
    """
    seconds, nanoseconds = struct.unpack_from(_stamp_format(data), data, _STAMP_OFFSET)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def restamped(data: bytes, stamp: int) -> bytes:
    """The same serialised message with another header stamp [ns].

    Raises:
        PointCloudError: The message is too short for a stamp.
    """
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    packed = struct.pack(_stamp_format(data), seconds, nanoseconds)
    return data[:_STAMP_OFFSET] + packed + data[_STAMP_END:]


def _stamp_format(data: bytes) -> str:
    if len(data) < _STAMP_END:
        raise PointCloudError(
            "serialised message",
            "too short for a stamp",
            got=f"{len(data)} bytes",
            expected=f"at least {_STAMP_END}",
        )
    return "<iI" if data[1] & _LITTLE_ENDIAN_BIT else ">iI"


@dataclass(frozen=True)
class RecordedMessage:
    """One message of a bag."""

    topic: str
    received_ns: int
    data: bytes
    """Serialised."""


@dataclass(frozen=True)
class CloudTopic:
    """One PointCloud2 topic of a bag."""

    bag: Path
    name: str
    count: int

    @classmethod
    def find(cls, bag: Path, topic: str | None = None) -> CloudTopic:
        """The named topic, or the only one of type PointCloud2.

        Raises:
            BagError: The bag is missing or unreadable, or the topic is not there, of another type
                or not the only one.
            MissingDependencyError: rosbags is not installed.
        """
        require_rosbags()
        from rosbags.rosbag2 import Reader

        with bag_errors(bag), Reader(bag) as reader:
            topics = {
                str(entry.topic): (str(entry.msgtype), bag_damage.message_count(entry.msgcount))
                for entry in reader.connections
            }
        listing = [f"{name} ({kind}, {count} messages)" for name, (kind, count) in sorted(topics.items())]
        if topic is not None and topics.get(topic, ("",))[0] != POINT_CLOUD_TYPE:
            raise BagError(f"{bag}#{topic}", f"no such topic of type {POINT_CLOUD_TYPE}", problems=listing)
        found = [name for name, (kind, _) in topics.items() if kind == POINT_CLOUD_TYPE]
        if topic is None and len(found) != 1:
            raise BagError(
                bag,
                f"{len(found) or 'no'} topics of type {POINT_CLOUD_TYPE}",
                expected="one",
                problems=listing,
                hint="Name the topic.",
            )
        name = topic if topic is not None else found[0]
        return cls(bag, name, topics[name][1])

    def messages(self) -> Iterator[bytes]:
        """Serialised clouds in order of reception.

        Raises:
            BagError: The storage is damaged.
        """
        return (message.data for message in self.recorded())

    def transform_topics(self) -> tuple[str, ...]:
        """Those of /tf and /tf_static that the bag has.

        Raises:
            BagError: The bag is missing or damaged.
        """
        from rosbags.rosbag2 import Reader

        with bag_errors(self.bag), Reader(self.bag) as reader:
            found = {entry.topic for entry in reader.connections if str(entry.msgtype) == TF.type}
        return tuple(topic.name for topic in (TF_STATIC, TF) if topic.name in found)

    def recorded(self, companions: Collection[str] = ()) -> Iterator[RecordedMessage]:
        """The clouds and the messages of other topics in order of reception.

        Raises:
            BagError: The storage is damaged.
        """
        from rosbags.rosbag2 import Reader

        with bag_errors(self.bag), Reader(self.bag) as reader:
            names = {self.name, *companions}
            chosen = [entry for entry in reader.connections if entry.topic in names]
            # rosbags would take no choice for all topics.
            for entry, received_ns, data in reader.messages(chosen) if chosen else ():
                yield RecordedMessage(str(entry.topic), int(received_ns), bytes(data))


@contextmanager
def bag_errors(bag: Path) -> Iterator[None]:
    """Turn what rosbags raises on a missing or damaged bag into a BagError."""
    if not bag.exists():
        raise BagError(bag, "no such bag")
    with bag_damage.bag_errors(bag):
        yield
