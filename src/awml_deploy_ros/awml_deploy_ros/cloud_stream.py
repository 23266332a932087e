"""What an active node has that an inactive one has not: its subscriptions and its worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from awml_deploy_ros.counters import DropReason, FrameCounters
from awml_deploy_ros.densification import Densifier, NoDensifier, SweepDensifier
from awml_deploy_ros.frame import transport
from awml_deploy_ros.qos_events import MissingMessages
from awml_deploy_ros.qos_overrides import overridable
from awml_deploy_ros.settings import DensificationSettings
from awml_deploy_ros.tf import TransformBuffer
from awml_deploy_ros.tf.listener import TransformListener
from awml_deploy_ros.tf.tf2_store import open_store
from awml_deploy_ros.topics import POINT_CLOUD
from awml_deploy_ros.worker import InferenceWorker


class CloudStream:
    """Clouds and transforms from their topics into a worker, until it is closed.

    Args:
        node: The node that subscribes.
        settings: Of the past sweeps; without any, no transforms are subscribed to.
        make_worker: Makes the worker, given what adds past sweeps.
        on_arrival: Called with the topic and every cloud, before the worker gets it.
        on_transforms: Called with every message of /tf and /tf_static (whether it is static first).
        counters: Gets the clouds that never reached this side, and those left when it is closed.

    Raises:
        MissingDependencyError: Past sweeps are wanted, and tf2_msgs is not installed.
    """

    def __init__(
        self,
        node: Node,
        settings: DensificationSettings,
        make_worker: Callable[[Densifier], InferenceWorker],
        on_arrival: Callable[[str, Any], None],
        counters: FrameCounters,
        on_transforms: Callable[[bool, Any], None] = lambda static, message: None,
    ) -> None:
        self._node = node
        self._on_arrival = on_arrival
        self._counters = counters
        self._missing = MissingMessages(partial(counters.count_dropped, DropReason.LOST_IN_TRANSPORT))
        densifier: Densifier = NoDensifier()
        self.transforms: TransformListener | None = None
        if settings.num_past_frames:
            buffer = TransformBuffer(open_store())
            self.transforms = TransformListener(node, buffer, on_transforms)
            densifier = SweepDensifier(settings, buffer)
        self.worker = make_worker(densifier)
        self.worker.start()
        self.topic_name = node.resolve_topic_name(POINT_CLOUD.name)
        self.subscription = node.create_subscription(
            PointCloud2,
            POINT_CLOUD.name,
            self._on_cloud,
            qos_profile_sensor_data,
            qos_overriding_options=overridable(),
            event_callbacks=self._missing.callbacks(),
        )

    def close(self) -> None:
        """Unsubscribe, finish the frame in work and forget sweeps and transforms.

        Called where the subscription's callbacks are, or when nothing spins any more.
        """
        try:
            self._count_left()
            self._node.destroy_subscription(self.subscription)
            if self.transforms is not None:
                self.transforms.close()
        finally:
            # A worker that is left would keep the process from ending.
            self.worker.stop()

    def _count_left(self) -> None:
        """Count the clouds that have arrived and that nobody will look at."""
        subscription = self.subscription
        with subscription.handle:
            while (taken := subscription.handle.take_message(subscription.msg_type, True)) is not None:
                self._missing.arrived(taken[1])
                self._counters.count_received()
                self._counters.count_dropped(DropReason.DEACTIVATED)

    def _on_cloud(self, message: Any, info: Any) -> None:
        self._missing.arrived(info)
        # Both clocks are system clocks, whatever ROS time is.
        arrival = transport(int(info["source_timestamp"]), time.time_ns())
        self._on_arrival(self.topic_name, message)
        self.worker.submit(message, arrival)
