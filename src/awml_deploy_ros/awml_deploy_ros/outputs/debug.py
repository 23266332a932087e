"""Latencies as plain numbers, on Autoware's debug topics."""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node

from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.outputs.base import Output, OutputContext, latest_only

CYCLIC = "~/debug/cyclic_time_ms"
PROCESSING = "~/debug/processing_time_ms"
PIPELINE = "~/debug/pipeline_latency_ms"


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
    """Publishes cyclic time, processing time and the age of the cloud [ms]."""

    def __init__(self, context: OutputContext) -> None:
        self._context = context
        self._type = _message_type(context.node)
        self._publishers = {
            topic: context.node.create_publisher(self._type, topic, latest_only())
            for topic in (CYCLIC, PROCESSING, PIPELINE)
        }
        self._last_ns: int | None = None

    def publish(self, frame: ProcessedFrame) -> None:
        now_ns = time.monotonic_ns()
        if self._last_ns is not None:
            self._send(CYCLIC, (now_ns - self._last_ns) * 1e-6)
        self._last_ns = now_ns
        self._send(PROCESSING, frame.processing_ms)
        age = self._context.age_of(frame)
        if age.valid:
            self._send(PIPELINE, age.milliseconds)

    def close(self) -> None:
        for publisher in self._publishers.values():
            self._context.node.destroy_publisher(publisher)

    def _send(self, topic: str, milliseconds: float) -> None:
        message = self._type(data=milliseconds)
        if hasattr(message, "stamp"):
            message.stamp = self._context.node.get_clock().now().to_msg()
        self._publishers[topic].publish(message)


def create(context: OutputContext) -> Output:
    return DebugOutput(context)
