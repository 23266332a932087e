"""Subscriptions to the inputs of a node."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription

from awml_deploy_ros.counters import DropReason, FrameCounters
from awml_deploy_ros.frame import Transport, transport
from awml_deploy_ros.qos_events import lost_message_events
from awml_deploy_ros.qos_overrides import overridable
from awml_deploy_ros.topics import TopicSpec


def message_class(topic: TopicSpec) -> Any:
    """The class of a topic's messages, whose package is installed."""
    package, _, name = topic.type.split("/")
    return getattr(import_module(f"{package}.msg"), name)


def subscribe(
    node: Node,
    topic: TopicSpec,
    on_message: Callable[[Any, Transport], None],
    counters: FrameCounters | None = None,
) -> Subscription[Any]:
    """Subscribe to an input, best effort unless a parameter file says otherwise.

    Args:
        node: The node.
        topic: The input.
        on_message: Called with every message and how long it was on its way.
        counters: Gets the messages that the middleware lost.
    """

    def receive(message: Any, info: Any) -> None:
        # Both clocks are system clocks, whatever ROS time is.
        on_message(message, transport(int(info["source_timestamp"]), time.time_ns()))

    events = None
    if counters is not None:
        events = lost_message_events(partial(counters.count_dropped, DropReason.LOST_IN_TRANSPORT))
    return node.create_subscription(
        message_class(topic),
        topic.name,
        receive,
        qos_profile_sensor_data,
        qos_overriding_options=overridable(),
        event_callbacks=events,
    )
