"""What an active node has that an inactive one has not: its subscriptions and its worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from awml_deploy_ros.counters import DropReason, FrameCounters
from awml_deploy_ros.densification import Densifier, NoDensifier, SweepDensifier
from awml_deploy_ros.qos_events import lost_message_events
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
        on_arrival: Called for every cloud, before the worker gets it.
        counters: Gets the clouds that the middleware lost.

    Raises:
        MissingDependencyError: Past sweeps are wanted, and tf2_msgs is not installed.
    """

    def __init__(
        self,
        node: Node,
        settings: DensificationSettings,
        make_worker: Callable[[Densifier], InferenceWorker],
        on_arrival: Callable[[], None],
        counters: FrameCounters,
    ) -> None:
        self._node = node
        self._on_arrival = on_arrival
        densifier: Densifier = NoDensifier()
        self.transforms: TransformListener | None = None
        if settings.num_past_frames:
            buffer = TransformBuffer(open_store())
            self.transforms = TransformListener(node, buffer)
            densifier = SweepDensifier(settings, buffer)
        self.worker = make_worker(densifier)
        self.worker.start()
        self.subscription = node.create_subscription(
            PointCloud2,
            POINT_CLOUD.name,
            self._on_cloud,
            qos_profile_sensor_data,
            event_callbacks=lost_message_events(
                partial(counters.count_dropped, DropReason.LOST_IN_TRANSPORT)
            ),
        )

    def close(self) -> None:
        """Unsubscribe, finish the frame in work and forget sweeps and transforms."""
        self._node.destroy_subscription(self.subscription)
        if self.transforms is not None:
            self.transforms.close()
        self.worker.stop()

    def _on_cloud(self, message: Any) -> None:
        self._on_arrival()
        self.worker.submit(message)
