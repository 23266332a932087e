"""What every output is given and has to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from awml_deploy_ros.counters import FrameCounters
from awml_deploy_ros.frame import HeaderAge, ProcessedFrame
from awml_deploy_ros.model import ModelIdentity
from awml_deploy_ros.qos_overrides import overridable


@dataclass(frozen=True, eq=False)
class OutputContext:
    """What an output may need besides the frame."""

    node: Node
    identity: ModelIdentity
    counters: FrameCounters
    age_of: Callable[[ProcessedFrame], HeaderAge]
    """Age of a frame's input by the node's clock, now."""
    timed: Callable[[ProcessedFrame], ProcessedFrame] = lambda frame: frame
    """Adds its timing to a frame of which all but the record is published."""
    hold: Callable[[str, str, Any], None] = lambda topic, kind, message: None
    """Keeps a message that was published: its topic, its type and itself."""
    task: str = "detection3d"
    """What the model does, by the name that its family gives."""
    marker_lifetime_ms: float = 500.0


class Output(Protocol):
    """One or several topics."""

    def publish(self, frame: ProcessedFrame) -> None:
        """Publish a frame, whether or not anybody listens."""
        ...

    def close(self) -> None:
        """Destroy the publishers."""
        ...


class RecordingOutput(Output, Protocol):
    """The output that others are judged by."""

    @property
    def listeners(self) -> int:
        """Subscribers that the middleware has matched: what is published reaches nobody else."""
        ...


_DELIVERY = Duration(seconds=1.0)

OutputFactory = Callable[[OutputContext], Output]


def create_publisher(node: Node, kind: Any, topic: str, qos: QoSProfile) -> Publisher[Any]:
    """A publisher whose quality of service a parameter file may change."""
    return node.create_publisher(kind, topic, qos, qos_overriding_options=overridable())


def destroy_delivered(node: Node, publisher: Publisher[Any]) -> None:
    """Destroy a publisher once its reliable subscribers have what it published, or time is up."""
    publisher.wait_for_all_acked(_DELIVERY)
    node.destroy_publisher(publisher)


def latest_only() -> QoSProfile:
    """Reliable, volatile, keep the last message: Autoware's profile for detected objects."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def every_frame() -> QoSProfile:
    """Reliable, volatile, with room for a slow recorder."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=50,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )
