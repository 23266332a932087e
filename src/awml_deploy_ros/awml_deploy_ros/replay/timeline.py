"""A bag as the node would receive it: clouds in order, transforms when they were received."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from awml_deploy_core import bag_damage
from awml_deploy_core.errors import TransformError
from awml_deploy_ros.bag_clouds import CloudTopic, RecordedMessage
from awml_deploy_ros.bag_types import typestore_for
from awml_deploy_ros.tf import TransformBuffer, TransformProblem, TransformUnavailableError
from awml_deploy_ros.tf.buffer import TransformStore
from awml_deploy_ros.tf.listener import transform_of
from awml_deploy_ros.tf.pose import FrameTransform, Matrix
from awml_deploy_ros.topics import TF, TF_STATIC


@dataclass(frozen=True)
class RecordedCloud:
    """One serialised cloud and its place in the bag."""

    index: int
    """Position among the clouds of its topic."""
    received_ns: int
    """When the recorder received it [ns]."""
    data: bytes


class BagTimeline:
    """Clouds of a bag one by one, its transforms on the way, later ones only if they are asked for.

    Args:
        source: The clouds.
        with_transforms: Whether /tf and /tf_static are read.
    """

    def __init__(self, source: CloudTopic, *, with_transforms: bool) -> None:
        self._source = source
        companions = source.transform_topics() if with_transforms else ()
        self._messages = source.recorded(companions)
        self._store = typestore_for()
        self._ahead: deque[RecordedMessage] = deque()
        self._clouds = 0
        self.now_ns = 0
        """When the latest cloud was received [ns]."""
        self.left_out: list[str] = []
        """Transforms that are none, and why."""

    def next_cloud(self, transforms: TransformBuffer | None) -> RecordedCloud | None:
        """The next cloud; transforms received before it go into the buffer. None at the end.

        Raises:
            BagError: The storage is damaged.
        """
        while (message := self._next()) is not None:
            if message.topic == self._source.name:
                self.now_ns = message.received_ns
                self._clouds += 1
                return RecordedCloud(self._clouds - 1, message.received_ns, message.data)
            if transforms is not None:
                self._feed(message, transforms)
        return None

    def feed_one(self, transforms: TransformBuffer, until_ns: int) -> bool:
        """Put the next transforms in, ahead of clouds, if they were received by a time [ns].

        Raises:
            BagError: The storage is damaged.
        """
        for position, message in enumerate(self._ahead):
            if message.topic != self._source.name:
                if message.received_ns > until_ns:
                    return False
                del self._ahead[position]
                self._feed(message, transforms)
                return True
        for message in self._messages:
            if message.topic != self._source.name and message.received_ns <= until_ns:
                self._feed(message, transforms)
                return True
            self._ahead.append(message)
            if message.received_ns > until_ns:
                break
        return False

    def _next(self) -> RecordedMessage | None:
        return self._ahead.popleft() if self._ahead else next(self._messages, None)

    def _feed(self, message: RecordedMessage, transforms: TransformBuffer) -> None:
        subject = f"{self._source.bag}#{message.topic}"
        with bag_damage.bag_errors(subject, "message cannot be read"):
            content = self._store.deserialize_cdr(message.data, TF.type)
        transforms.add(self._usable(content), static=message.topic == TF_STATIC.name)

    def _usable(self, content: Any) -> Iterator[FrameTransform]:
        for entry in content.transforms:
            try:
                yield transform_of(entry)
            except TransformError as error:
                self.left_out.append(str(error))


class RecordedTransforms(TransformBuffer):
    """A buffer in which waiting means reading on: the wait for a late transform is counted in the
    recording's time, so that a run gives the same frames however fast it goes.

    Args:
        store: What keeps the transforms.
        timeline: Where they come from.
    """

    def __init__(self, store: TransformStore, timeline: BagTimeline) -> None:
        super().__init__(store)
        self._timeline = timeline

    def lookup(self, target: str, source: str, stamp_ns: int, timeout_s: float = 0.0) -> Matrix:
        """As :meth:`TransformBuffer.lookup`; the timeout starts when the cloud was received."""
        until_ns = self._timeline.now_ns + round(timeout_s * 1e9)
        while True:
            try:
                return super().lookup(target, source, stamp_ns)
            except TransformUnavailableError as error:
                late = error.transform_problem is TransformProblem.TOO_LATE
                if not late or not timeout_s or not self._timeline.feed_one(self, until_ns):
                    raise


def decode_cloud(store: Any, source: CloudTopic, cloud: RecordedCloud) -> Any:
    """A sensor_msgs/PointCloud2 whose data are a view of the bag's bytes.

    Raises:
        BagError: The bytes are no such message.
    """
    with bag_damage.bag_errors(f"{source.bag}#{source.name}", f"cloud {cloud.index} cannot be read"):
        return store.deserialize_cdr(cloud.data, "sensor_msgs/msg/PointCloud2")
