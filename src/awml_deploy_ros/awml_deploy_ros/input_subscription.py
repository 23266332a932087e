"""Subscriptions to the inputs of a node."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription

from awml_deploy_ros.bag_types import message_class
from awml_deploy_ros.counters import DropReason, FrameCounters
from awml_deploy_ros.frame import Transport, transport
from awml_deploy_ros.qos_events import MissingMessages
from awml_deploy_ros.qos_overrides import overridable
from awml_deploy_ros.topics import TopicSpec


class InputSubscription:
    """Subscribes to an input, best effort unless a parameter file says otherwise.

    Args:
        node: The node.
        topic: The input.
        on_message: Called with every message and how long it was on its way.
        counters: Gets the messages that never reached this side, and those left when it is closed.
    """

    def __init__(
        self,
        node: Node,
        topic: TopicSpec,
        on_message: Callable[[Any, Transport], None],
        counters: FrameCounters | None = None,
    ) -> None:
        self._node = node
        self._on_message = on_message
        self._counters = counters
        self._missing: MissingMessages | None = None
        if counters is not None:
            count = partial(counters.count_dropped, DropReason.LOST_IN_TRANSPORT)
            self._missing = MissingMessages(count)
        self._subscription: Subscription[Any] = node.create_subscription(
            message_class(topic.type),
            topic.name,
            self._receive,
            qos_profile_sensor_data,
            qos_overriding_options=overridable(),
            event_callbacks=None if self._missing is None else self._missing.callbacks(),
        )

    @property
    def publishers(self) -> int:
        """How many publishers this side knows."""
        return int(self._subscription.get_publisher_count())

    def close(self) -> None:
        """Count what has arrived and nobody will look at, and unsubscribe.

        Called where the callbacks are, or when nothing spins any more.
        """
        try:
            if self._missing is not None and self._counters is not None:
                self._count_left(self._missing, self._counters)
        finally:
            self._node.destroy_subscription(self._subscription)

    def _count_left(self, missing: MissingMessages, counters: FrameCounters) -> None:
        subscription = self._subscription
        with subscription.handle:
            while (taken := subscription.handle.take_message(subscription.msg_type, True)) is not None:
                missing.arrived(taken[1])
                counters.count_received()
                counters.count_dropped(DropReason.DEACTIVATED)

    def _receive(self, message: Any, info: Any) -> None:
        if self._missing is not None:
            self._missing.arrived(info)
        # Both clocks are system clocks, whatever ROS time is.
        self._on_message(message, transport(int(info["source_timestamp"]), time.time_ns()))
