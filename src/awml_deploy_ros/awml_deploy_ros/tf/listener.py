"""Subscribes to /tf and /tf_static."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from awml_deploy_core.errors import MissingDependencyError, TransformError
from awml_deploy_ros.tf.buffer import TransformBuffer
from awml_deploy_ros.tf.pose import FrameTransform
from awml_deploy_ros.topics import TF, TF_STATIC

_DEPTH = 100


def moving_qos() -> QoSProfile:
    """That of tf2 for /tf: reliable, volatile."""
    return QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.RELIABLE)


def static_qos() -> QoSProfile:
    """That of tf2 for /tf_static: who comes later gets what was published before."""
    return QoSProfile(
        depth=_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def require_messages() -> Any:
    """The class tf2_msgs/TFMessage.

    Raises:
        MissingDependencyError: The package is not installed.
    """
    if find_spec(TF.package) is None:
        raise MissingDependencyError(
            TF.type,
            "message package is not installed",
            hint="Install tf2_msgs, or do without transforms: densification_params.num_past_frames 0, "
            "bag_player --no-transforms.",
        )
    from tf2_msgs.msg import TFMessage

    return TFMessage


class TransformListener:
    """Feeds a buffer; a transform that is none is left out with a warning.

    Raises:
        MissingDependencyError: tf2_msgs is not installed.
    """

    def __init__(
        self,
        node: Node,
        buffer: TransformBuffer,
        tap: Callable[[bool, Any], None] = lambda static, message: None,
    ) -> None:
        message = require_messages()
        self._node = node
        self._buffer = buffer
        self._tap = tap
        self._subscriptions = [
            node.create_subscription(message, topic.name, partial(self._on_message, static), qos)
            for topic, static, qos in ((TF, False, moving_qos()), (TF_STATIC, True, static_qos()))
        ]

    @property
    def publishers(self) -> int:
        """How many publishers of moving frames this side knows."""
        return int(self._subscriptions[0].get_publisher_count())

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _on_message(self, static: bool, message: Any) -> None:
        self._tap(static, message)
        found = []
        for entry in message.transforms:
            try:
                found.append(transform_of(entry))
            except TransformError as error:
                self._node.get_logger().warning(f"left out: {error}", throttle_duration_sec=1.0)
        jumps = self._buffer.time_jumps
        self._buffer.add(found, static=static)
        if self._buffer.time_jumps > jumps:
            self._node.get_logger().warning("time of /tf jumped back: earlier transforms are forgotten")


def transform_of(message: Any) -> FrameTransform:
    """A transform from a geometry_msgs/TransformStamped.

    Raises:
        TransformError: It is none.
    """
    stamp, move, turn = message.header.stamp, message.transform.translation, message.transform.rotation
    return FrameTransform.checked(
        message.header.frame_id,
        message.child_frame_id,
        stamp.sec * 1_000_000_000 + stamp.nanosec,
        (move.x, move.y, move.z),
        (turn.x, turn.y, turn.z, turn.w),
    )
