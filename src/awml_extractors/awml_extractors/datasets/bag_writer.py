"""Write a rosbag2 that ROS 2 from Humble on reads, without ROS."""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from awml_deploy_core.errors import BagError
from awml_deploy_core.files import fsync_tree
from awml_deploy_core.packages import require_package
from awml_extractors.datasets.bag_messages import (
    MESSAGE_TYPES,
    Stamped,
    StampedCloud,
    message_of,
    received_at,
)

if TYPE_CHECKING:
    from rosbags.interfaces import Qos

__all__ = ["STORAGES", "StampedCloud", "TopicStream", "write_bag", "write_cloud_bag"]

STORAGES = ("sqlite3", "mcap")

# rosbag2 metadata version: 9 writes QoS profiles in a form that Humble cannot parse.
_VERSION: Literal[8] = 8


@dataclass(frozen=True, eq=False)
class TopicStream:
    """What one topic of a bag records."""

    topic: str
    kind: type[Stamped]
    """The only type among ``items``."""
    items: Iterable[Stamped]
    """In order of reception; may be a generator."""
    latched: bool = False
    """Whether late subscribers get the last message, as those of ``/tf_static`` expect."""


def write_cloud_bag(
    path: Path, clouds: Iterable[StampedCloud], *, topic: str, storage: str = "sqlite3"
) -> int:
    """Write the clouds of one topic and return how many there were.

    The bag appears under ``path`` complete or not at all; ``clouds`` may be a generator.

    Raises:
        BagError: ``path`` exists, cannot be written, or ``storage`` is unknown; or the clouds are
            not in order.
        PointCloudError: A point has a field type that PointCloud2 cannot hold.
        MissingDependencyError: rosbags is not installed.
    """
    return write_bag(path, [TopicStream(topic, StampedCloud, clouds)], storage=storage)[topic]


def write_bag(path: Path, streams: Sequence[TopicStream], *, storage: str = "sqlite3") -> dict[str, int]:
    """Write several topics in order of reception and return how many messages each got.

    The streams are merged while they are consumed, each one item ahead, so that generators never
    hold a whole bag. Of messages received at once, those of an earlier stream come first. The bag
    appears under ``path`` complete or not at all.

    Raises:
        BagError: ``path`` exists, cannot be written, or ``storage`` is unknown; two streams have one
            topic; a stream is not in order or has an item of another kind; a pose is not rigid.
        PointCloudError: A point has a field type that PointCloud2 cannot hold.
        MissingDependencyError: rosbags is not installed.
    """
    require_package("rosbags", "to write a bag", "0.11")
    if storage not in STORAGES:
        raise BagError(path, "unknown storage", got=storage, expected=" or ".join(STORAGES))
    if path.exists():
        raise BagError(path, "exists already", hint="Remove it or choose another path.")
    topics = [stream.topic for stream in streams]
    if len(set(topics)) < len(topics):
        raise BagError(path, "two streams have one topic", got=", ".join(topics))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The storage file is named after its folder, so the temporary folder is one level up.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
            written = _write(Path(scratch) / path.name, streams, storage)
            fsync_tree(Path(scratch))
            os.replace(Path(scratch) / path.name, path)
    except OSError as error:
        raise BagError(path, "cannot be written", got=error.strerror or error) from error
    return written


def _write(path: Path, streams: Sequence[TopicStream], storage: str) -> dict[str, int]:
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    counts = dict.fromkeys((stream.topic for stream in streams), 0)
    with Writer(path, version=_VERSION, storage_plugin=plugin) as writer:
        connections: dict[str, Any] = {
            stream.topic: writer.add_connection(
                stream.topic,
                MESSAGE_TYPES[stream.kind],
                typestore=store,
                offered_qos_profiles=[_latched_profile()] if stream.latched else [],
            )
            for stream in streams
        }
        ordered = heapq.merge(*map(_in_order, streams), key=lambda pair: received_at(pair[1]))
        for stream, item in ordered:
            raw = store.serialize_cdr(message_of(store, item), MESSAGE_TYPES[stream.kind])
            writer.write(connections[stream.topic], received_at(item), raw)
            counts[stream.topic] += 1
    return counts


def _in_order(stream: TopicStream) -> Iterator[tuple[TopicStream, Stamped]]:
    """Each item with its stream, unless it is of another kind or earlier than the one before."""
    latest: int | None = None
    for item in stream.items:
        if not isinstance(item, stream.kind):
            raise BagError(
                stream.topic, "item of another kind", got=type(item).__name__, expected=stream.kind.__name__
            )
        received_ns = received_at(item)
        if latest is not None and received_ns < latest:
            raise BagError(
                stream.topic, "messages are not in order", got=f"{received_ns} ns after {latest} ns"
            )
        latest = received_ns
        yield stream, item


def _latched_profile() -> Qos:
    """Reliable, transient local, keep last 1; the durations are rosbag2's for infinite."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    forever = QosTime(9_223_372_036, 854_775_807)
    return Qos(
        QosHistory.KEEP_LAST,
        1,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )
