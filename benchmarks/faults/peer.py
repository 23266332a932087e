"""The node's surroundings in one ROS node: publishes clouds and transforms, collects what comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from awml_deploy_msgs.msg import DetectionFrame
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

from awml_deploy_ros.bag_clouds import restamped
from awml_deploy_ros.live.status import LiveCounters
from awml_deploy_ros.outputs.base import every_frame
from awml_deploy_ros.tf.listener import moving_qos
from awml_deploy_ros.topics import DIAGNOSTICS, FRAME

WORLD, BASE = "map", "base_link"


class Peer:
    """Publishes, and spins in a thread of its own; rclpy has to be initialised.

    Args:
        node_name: Full name of the node that is fed.
        topic: Of the clouds.
        good: A serialised cloud that the node takes, in the frame :data:`BASE`.
    """

    def __init__(self, node_name: str, topic: str, good: bytes) -> None:
        self.node_name = node_name
        self.good = good
        self.sent = 0
        self.node = rclpy.create_node("fault_injection")
        self.frames: list[Any] = []
        """Every record of the node in the order of arrival."""
        self.statuses: dict[str, Any] = {}
        """The latest diagnostic status by name."""
        self._changed = threading.Condition()
        self._by_stamp: dict[int, Any] = {}
        self._last_stamp_ns = 0
        self._clouds = self.node.create_publisher(PointCloud2, topic, qos_profile_sensor_data)
        reliable = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self._reliable = self.node.create_publisher(PointCloud2, topic, reliable)
        self._transforms = self.node.create_publisher(TFMessage, "/tf", moving_qos())
        self._records = self.node.create_subscription(
            DetectionFrame, FRAME.of(node_name), self._on_frame, every_frame()
        )
        self.node.create_subscription(DiagnosticArray, DIAGNOSTICS.name, self._on_diagnostics, 10)
        self.parameters = self.node.create_client(SetParameters, f"{node_name}/set_parameters")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def close(self) -> None:
        """Stop spinning and destroy everything."""
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()

    def connected(self, *, reliable: bool = False) -> bool:
        """Whether this side knows the node's input and output."""
        publisher = self._reliable if reliable else self._clouds
        return publisher.get_subscription_count() > 0 and self._records.get_publisher_count() > 0

    def stamp(self, offset_s: float = 0.0) -> int:
        """The time [ns], later than any that it gave for the same offset."""
        self._last_stamp_ns = max(time.time_ns(), self._last_stamp_ns + 1_000_000)
        return self._last_stamp_ns + round(offset_s * 1e9)

    def transform(self, stamp_ns: int, x: float = 0.0, rotation_w: float = 1.0) -> None:
        """Say where :data:`BASE` is in :data:`WORLD` at a time."""
        message = TransformStamped(child_frame_id=BASE)
        message.header.frame_id = WORLD
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        message.transform.translation.x = x
        message.transform.rotation.w = rotation_w
        self._transforms.publish(TFMessage(transforms=[message]))

    def cloud(self, data: bytes, stamp_ns: int, *, reliable: bool = False) -> None:
        """Publish a serialised cloud at a stamp."""
        self.sent += 1
        (self._reliable if reliable else self._clouds).publish(restamped(data, stamp_ns))

    def message(self, cloud: Any, stamp_ns: int) -> None:
        """Publish a cloud at a stamp, with its transform."""
        self.transform(stamp_ns)
        self.cloud(bytes(serialize_message(cloud)), stamp_ns)

    def good_cloud(self, *, reliable: bool = False) -> int:
        """Publish a good cloud with its transform; return its stamp."""
        stamp_ns = self.stamp()
        self.transform(stamp_ns)
        self.cloud(self.good, stamp_ns, reliable=reliable)
        return stamp_ns

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something that arrives makes a condition true, or time is up."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def wait_for_frame(self, stamp_ns: int, timeout_s: float) -> Any:
        """The record of a cloud; None if it does not come in time."""
        self.wait(lambda: stamp_ns in self._by_stamp, timeout_s)
        return self._by_stamp.get(stamp_ns)

    def counters(self) -> LiveCounters:
        """What the node's latest record says; zeros before the first."""
        frames = self.frames
        return LiveCounters.of_frame(frames[-1]) if frames else LiveCounters()

    def status(self, part: str) -> dict[str, str]:
        """Message and values of a status of the node; empty before the first."""
        status = self.statuses.get(f"{self.node_name.lstrip('/')}: {part}")
        if status is None:
            return {}
        return {"message": status.message, **{entry.key: entry.value for entry in status.values}}

    def set_parameters(self, timeout_s: float, **values: Any) -> list[bool] | None:
        """Which of some parameters the node accepted; None if it did not answer in time."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        )
        if not self.parameters.wait_for_service(timeout_sec=timeout_s):
            return None
        answer = self.parameters.call_async(request)
        answer.add_done_callback(lambda _: self._notify())
        if not self.wait(answer.done, timeout_s):
            return None
        return [bool(result.successful) for result in answer.result().results]

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _on_frame(self, message: Any) -> None:
        stamp = message.header.stamp
        with self._changed:
            self.frames.append(message)
            self._by_stamp[stamp.sec * 1_000_000_000 + stamp.nanosec] = message
            self._changed.notify_all()

    def _on_diagnostics(self, message: Any) -> None:
        with self._changed:
            self.statuses.update({status.name: status for status in message.status})
            self._changed.notify_all()
