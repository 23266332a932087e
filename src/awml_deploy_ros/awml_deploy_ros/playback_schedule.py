"""In which order and when the clouds and transforms of a bag are played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from awml_deploy_ros.bag_clouds import CloudTopic, RecordedMessage


@dataclass(frozen=True)
class ScheduledMessage:
    """One message and its time."""

    topic: str
    data: bytes
    """Serialised."""
    due: float
    """In periods since the first cloud."""
    is_cloud: bool


def scheduled(
    source: CloudTopic, loops: int, companions: tuple[str, ...] = ()
) -> Iterator[ScheduledMessage]:
    """The clouds of a bag one period apart, other topics between them in the order of the recording.

    A message between two clouds is due between them as it was received between them. What was
    received before the first cloud of a loop is due with it, and so is what follows the last.

    Args:
        source: The clouds.
        loops: How often the bag is played; 0 is endless.
        companions: Topics that are played besides.

    Raises:
        BagError: The storage is damaged.
    """
    position = 0
    for _ in range(loops) if loops else count():
        waiting: list[RecordedMessage] = []
        last_ns: int | None = None
        for message in source.recorded(companions):
            if message.topic != source.name:
                waiting.append(message)
                continue
            for other in waiting:
                due = _between(other.received_ns, last_ns, message.received_ns, position)
                yield ScheduledMessage(other.topic, other.data, due, False)
            waiting.clear()
            yield ScheduledMessage(message.topic, message.data, position, True)
            last_ns = message.received_ns
            position += 1
        for other in waiting:
            yield ScheduledMessage(other.topic, other.data, max(0, position - 1), False)


def _between(received_ns: int, last_ns: int | None, next_ns: int, position: int) -> float:
    """When a message is due that was received between two clouds, the second of them at ``position``."""
    if last_ns is None or next_ns <= last_ns:
        return float(position)
    return position - (next_ns - received_ns) / (next_ns - last_ns)
