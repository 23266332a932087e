"""Latencies as plain numbers, on Autoware's debug topics."""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node

from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.outputs.base import Output, OutputContext, create_publisher, latest_only
from awml_deploy_ros.topics import CYCLIC_TIME, PIPELINE_LATENCY, PROCESSING_TIME, TopicSpec

_TOPICS = (CYCLIC_TIME, PROCESSING_TIME, PIPELINE_LATENCY)


def _message_type(node: Node) -> Any:
    try:
        from autoware_internal_debug_msgs.msg import Float64Stamped
    except ModuleNotFoundError:
        from std_msgs.msg import Float64

        node.get_logger().info(
            "autoware_internal_debug_msgs is not installed: debug topics are std_msgs/Float64"
        )
        return Float64
    return Float64Stamped


class DebugOutput:
    """Publishes cyclic time, processing time and the age of the input [ms]."""

    def __init__(self, context: OutputContext) -> None:
        self._context = context
        self._type = _message_type(context.node)
        self._publishers = {
            topic: create_publisher(context.node, self._type, topic.name, latest_only())
            for topic in _TOPICS
        }
        self._last_ns: int | None = None

    def publish(self, frame: ProcessedFrame) -> None:
        now_ns = time.monotonic_ns()
        if self._last_ns is not None:
            self._send(CYCLIC_TIME, (now_ns - self._last_ns) * 1e-6)
        self._last_ns = now_ns
        self._send(PROCESSING_TIME, frame.processing_ms)
        age = self._context.age_of(frame)
        if age.valid:
            self._send(PIPELINE_LATENCY, age.milliseconds)

    def close(self) -> None:
        for publisher in self._publishers.values():
            self._context.node.destroy_publisher(publisher)

    def _send(self, topic: TopicSpec, milliseconds: float) -> None:
        message = self._type(data=milliseconds)
        if hasattr(message, "stamp"):
            message.stamp = self._context.node.get_clock().now().to_msg()
        self._publishers[topic].publish(message)


def create(context: OutputContext) -> Output:
    return DebugOutput(context)
