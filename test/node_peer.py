"""A node in this process and a peer that feeds it, over real DDS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data

from awml_deploy_ros.node.model_node import ModelNode
from awml_deploy_ros.process import FatalErrors

TIMEOUT_S = 120.0
"""Of every wait. It proves nothing: a busy machine takes ten times as long as a quiet one."""


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class NodePeer:
    """Context manager; needs an initialised rclpy. ``create`` makes the node from its parameters."""

    def __init__(self, create: Callable[..., ModelNode[Any]], **parameters: Any) -> None:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = create(FatalErrors(), parameter_overrides=overrides)
        self.name = self.node.get_fully_qualified_name()
        self.peer = rclpy.create_node("peer")
        self._publishers: dict[str, Any] = {}
        self._statuses: dict[str, Any] = {}
        self.peer.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._executor.add_node(self.peer)
        self._thread = threading.Thread(target=self._executor.spin)

    def __enter__(self) -> NodePeer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._executor.shutdown()
        self._thread.join()
        self.node.close()
        self.node.destroy_node()
        self.peer.destroy_node()
        assert self.node.fatal.error is None

    def collect(self, kind: Any, topic: str) -> list[Any]:
        """Messages of an output, as they arrive."""
        messages: list[Any] = []
        found = self.peer.create_subscription(kind, f"{self.name}/{topic}", messages.append, 50)
        wait_until(found.get_publisher_count)
        return messages

    def publish(self, topic: str, message: Any) -> None:
        """Publish to an input once the node listens; a name with a slash is whole, and latched."""
        if topic not in self._publishers:
            whole = topic.startswith("/")
            latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._publishers[topic] = self.peer.create_publisher(
                type(message),
                topic if whole else f"{self.name}/{topic}",
                latched if whole else qos_profile_sensor_data,
            )
        publisher = self._publishers[topic]
        wait_until(publisher.get_subscription_count)
        wait_until(lambda: self.node.count_publishers(publisher.topic_name))
        publisher.publish(message)

    def status(self, part: str) -> dict[str, str]:
        """The last status of the node about something: its values, ``level`` and ``message``."""
        return dict(self._statuses.get(f"{self.name.lstrip('/')}: {part}", {}))

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            values = {entry.key: entry.value for entry in status.values}
            self._statuses[status.name] = {
                **values,
                "level": str(status.level[0]),
                "message": status.message,
            }
