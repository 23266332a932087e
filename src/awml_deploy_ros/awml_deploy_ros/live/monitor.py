"""Watches a running node from outside: is it ready, and what has it counted?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import rclpy
from awml_deploy_msgs.msg import DetectionFrame
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from awml_deploy_ros.diagnostics import processing_name
from awml_deploy_ros.outputs.base import every_frame
from awml_deploy_ros.topics import DIAGNOSTICS, FRAME

_DROPPED = "dropped."


@dataclass(frozen=True)
class LiveCounters:
    """What a node says became of its clouds."""

    received: int = 0
    processed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason, zeros left out."""

    @property
    def accounted(self) -> int:
        """Clouds whose fate is known, those lost in transport included."""
        return self.processed + sum(self.dropped.values())

    @classmethod
    def of_frame(cls, message: Any) -> LiveCounters:
        """Counters of an awml_deploy_msgs/DetectionFrame, in any typed form."""
        counters = message.counters
        dropped = {entry.reason: int(entry.count) for entry in counters.dropped if entry.count}
        return cls(int(counters.received), int(counters.processed), dropped)

    @classmethod
    def of_diagnostics(cls, message: Any, node_name: str) -> LiveCounters | None:
        """Counters of a diagnostic_msgs/DiagnosticArray, None if it has none of the node's."""
        for status in message.status:
            values = {entry.key: entry.value for entry in status.values}
            if status.name != processing_name(node_name) or "received" not in values:
                continue
            dropped = {
                key.removeprefix(_DROPPED): int(value)
                for key, value in values.items()
                if key.startswith(_DROPPED) and int(value)
            }
            return cls(int(values["received"]), int(values["processed"]), dropped)
        return None


class NodeMonitor:
    """Subscribes to a node's record and diagnostics in a context of its own.

    Args:
        node_name: Full name of the node that is watched.
    """

    def __init__(self, node_name: str) -> None:
        self._name = node_name
        self._context = Context()
        rclpy.init(args=[], context=self._context)
        self._node = rclpy.create_node("live_monitor", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self.counters = LiveCounters()
        self._frame_topic = FRAME.of(node_name)
        self._node.create_subscription(DetectionFrame, self._frame_topic, self._on_frame, every_frame())
        self._node.create_subscription(DiagnosticArray, DIAGNOSTICS.name, self._on_diagnostics, 10)

    def __enter__(self) -> NodeMonitor:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def spin_once(self, timeout_s: float) -> None:
        """Take what has arrived, waiting at most ``timeout_s`` for something."""
        self._executor.spin_once(timeout_sec=timeout_s)

    def is_ready(self, input_topic: str, recorders: int) -> bool:
        """Whether the node listens to its input and the recorders to its record."""
        node = self._node
        return (
            node.count_subscribers(input_topic) > 0
            and node.count_publishers(self._frame_topic) > 0
            and node.count_subscribers(self._frame_topic) > recorders
        )

    def _on_frame(self, message: Any) -> None:
        self._update(LiveCounters.of_frame(message))

    def _on_diagnostics(self, message: Any) -> None:
        found = LiveCounters.of_diagnostics(message, self._name)
        if found is not None:
            self._update(found)

    def _update(self, counters: LiveCounters) -> None:
        if counters.accounted >= self.counters.accounted:
            self.counters = counters
