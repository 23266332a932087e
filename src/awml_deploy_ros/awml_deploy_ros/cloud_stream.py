"""What an active node has that an inactive one has not: its subscriptions and its worker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rclpy.node import Node

from awml_deploy_core.points import PointCloudFrame
from awml_deploy_ros.counters import FrameCounters
from awml_deploy_ros.densification import Densifier, NoDensifier, SweepDensifier
from awml_deploy_ros.frame import Transport
from awml_deploy_ros.input_subscription import InputSubscription
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
        make_worker: Callable[[Densifier], InferenceWorker[PointCloudFrame]],
        on_arrival: Callable[[str, Any], None],
        counters: FrameCounters,
        on_transforms: Callable[[bool, Any], None] = lambda static, message: None,
    ) -> None:
        self._on_arrival = on_arrival
        densifier: Densifier = NoDensifier()
        self.transforms: TransformListener | None = None
        if settings.num_past_frames:
            buffer = TransformBuffer(open_store())
            self.transforms = TransformListener(node, buffer, on_transforms)
            densifier = SweepDensifier(settings, buffer)
        self.worker = make_worker(densifier)
        self.worker.start()
        self.topic_name = node.resolve_topic_name(POINT_CLOUD.name)
        self.subscription = InputSubscription(node, POINT_CLOUD, self._on_cloud, counters)

    def close(self) -> None:
        """Unsubscribe, finish the frame in work and forget sweeps and transforms."""
        # A worker that is left, because something before it raised, keeps the process from ending.
        with ExitStack() as last_first:
            last_first.callback(self.worker.stop)
            if self.transforms is not None:
                last_first.callback(self.transforms.close)
            last_first.callback(self.subscription.close)

    def _on_cloud(self, message: Any, transport: Transport) -> None:
        self._on_arrival(self.topic_name, message)
        self.worker.submit(message, transport)
