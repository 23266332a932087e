"""PointCloud2 messages of a rosbag2 (sqlite3 or mcap), read through rosbags without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from awml_deploy_core.bag_damage import bag_errors, message_count
from awml_deploy_core.errors import BagError
from awml_deploy_core.packages import require_package

POINT_CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"
_STORAGE_SUFFIXES = (".db3", ".mcap")


@dataclass(frozen=True)
class TopicSummary:
    """One topic of a bag."""

    name: str
    msgtype: str
    count: int

    def __str__(self) -> str:
        return f"{self.name} ({self.msgtype}, {self.count} messages)"


@dataclass(frozen=True, eq=False)
class RecordedCloud:
    """One recorded message with its place in the topic."""

    index: int
    stamp_ns: int
    """The header's stamp [ns]."""
    received_ns: int
    """When the recorder got it [ns]."""
    frame_id: str
    message: Any
    """The decoded message; its ``data`` is a read-only view of the record."""


@dataclass(frozen=True)
class CloudBag:
    """One PointCloud2 topic of a bag. Holds no open file: every iteration opens the bag anew."""

    path: Path
    topic: str
    count: int
    """Messages the bag says the topic has."""

    @classmethod
    def open(cls, path: Path, topic: str | None = None) -> CloudBag:
        """Choose a topic: the named one, or else the only one of type PointCloud2.

        Raises:
            BagError: The path is missing or no readable bag, the topic is not there or of another
                type, or none is named and there are several.
            MissingDependencyError: rosbags is not installed.
        """
        topics = list_topics(path)
        listing = [str(entry) for entry in topics]
        clouds = [entry for entry in topics if entry.msgtype == POINT_CLOUD_TYPE]
        if topic is not None:
            named = [entry for entry in topics if entry.name == topic]
            if not named:
                raise BagError(f"{path}#{topic}", "no such topic in the bag", problems=listing)
            if named[0].msgtype != POINT_CLOUD_TYPE:
                raise BagError(
                    f"{path}#{topic}",
                    "wrong type",
                    got=named[0].msgtype,
                    expected=POINT_CLOUD_TYPE,
                    problems=listing,
                )
            return cls(path, topic, named[0].count)
        if not clouds:
            raise BagError(path, f"no topic of type {POINT_CLOUD_TYPE}", problems=listing or ["no topics"])
        if len(clouds) > 1:
            raise BagError(
                path,
                "several point cloud topics",
                problems=[str(entry) for entry in clouds],
                hint=f"Name one: {path}#{clouds[0].name}",
            )
        return cls(path, clouds[0].name, clouds[0].count)

    def __iter__(self) -> Iterator[RecordedCloud]:
        """Clouds in order of reception.

        Raises:
            BagError: A message is corrupt, or the storage is damaged.
        """
        for index, (received_ns, raw) in enumerate(self.records()):
            yield self.decode(index, received_ns, raw)

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Reception time [ns] and CDR bytes of every message in order of reception, not decoded.

        Raises:
            BagError: The storage is damaged; what comes after cannot be read.
        """
        from rosbags.rosbag2 import Reader

        subject, position = f"{self.path}#{self.topic}", 0
        with bag_errors(self.path), Reader(self.path) as reader:
            chosen = [entry for entry in reader.connections if entry.topic == self.topic]
            if not chosen:
                # rosbags would take no choice for all topics.
                return
            # SQLite does not close while rows of a query are left.
            with closing(reader.messages(chosen)) as rows:
                while True:
                    with bag_errors(subject, f"bag is damaged from message {position} on"):
                        row = next(rows, None)
                        if row is None:
                            return
                        received_ns, raw = int(row[1]), row[2]
                    yield received_ns, raw
                    position += 1

    def decode(self, index: int, received_ns: int, raw: bytes) -> RecordedCloud:
        """The cloud of one of the :meth:`records`.

        Raises:
            BagError: The message is corrupt.
        """
        with bag_errors(f"{self.path}#{self.topic}", f"message {index} is corrupt", hint=None):
            message: Any = _typestore().deserialize_cdr(raw, POINT_CLOUD_TYPE)
            stamp = message.header.stamp
            stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
            return RecordedCloud(index, stamp_ns, received_ns, message.header.frame_id, message)


class CloudCursor:
    """Access to the clouds of a bag by index, made for reading in order.

    Only the cloud that is asked for is decoded: the next index costs one message, those skipped
    are passed over, and an earlier one starts over from the front of the bag.
    """

    def __init__(self, bag: CloudBag) -> None:
        self.bag = bag
        self._rewind()

    def read(self, index: int) -> RecordedCloud:
        """The cloud at ``index``, 0 to ``bag.count`` - 1.

        Raises:
            BagError: The message is corrupt, the storage is damaged up to there, or the bag has
                fewer messages than it says.
        """
        if index < self._next:
            self._rewind()
        return self.bag.decode(index, *self._record(index))

    def _rewind(self) -> None:
        self._records = self.bag.records()
        self._next = 0
        self._damage: BagError | None = None

    def _record(self, index: int) -> tuple[int, bytes]:
        if self._damage is None:
            try:
                for record in self._records:
                    self._next += 1
                    if self._next > index:
                        return record
            except BagError as error:
                # The iterator is at its end now, which must not look like that of the topic.
                self._damage = error
        if self._damage is not None:
            raise self._damage.with_traceback(None)
        raise BagError(
            f"{self.bag.path}#{self.bag.topic}",
            "fewer messages than the bag says",
            got=self._next,
            expected=self.bag.count,
            hint="Rebuild its metadata with `ros2 bag reindex`.",
        )


def is_bag(path: Path) -> bool:
    """Whether a path looks like a rosbag2: its folder, or one of its storage files."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(path.glob("*.db3")) or any(path.glob("*.mcap"))
    return path.suffix in _STORAGE_SUFFIXES


def list_topics(path: Path) -> tuple[TopicSummary, ...]:
    """Every topic of a bag by name, with its type and number of messages.

    Raises:
        BagError: The path is missing or no readable bag.
        MissingDependencyError: rosbags is not installed.
    """
    require_package("rosbags", "to read a bag", "0.11")
    from rosbags.rosbag2 import Reader

    if not path.exists():
        raise BagError(path, "no such bag")
    if path.is_dir() and not (path / "metadata.yaml").is_file():
        raise BagError(
            path,
            "not a rosbag2 folder",
            expected="a folder with metadata.yaml, or a .db3 or .mcap file",
            hint="A recording that was cut off gets its metadata.yaml from `ros2 bag reindex`.",
        )
    if path.is_file() and path.suffix not in _STORAGE_SUFFIXES:
        raise BagError(
            path, "not a rosbag2", expected="a folder with metadata.yaml, or a .db3 or .mcap file"
        )
    with bag_errors(path), Reader(path) as reader:
        counts: dict[tuple[str, str], int] = {}
        for entry in reader.connections:
            key = (str(entry.topic), str(entry.msgtype))
            counts[key] = counts.get(key, 0) + message_count(entry.msgcount)
    return tuple(TopicSummary(name, msgtype, counts[name, msgtype]) for name, msgtype in sorted(counts))


@cache
def _typestore() -> Any:
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_HUMBLE)
