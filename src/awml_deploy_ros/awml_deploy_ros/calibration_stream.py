"""Clouds, images, camera infos and transforms from their topics into a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.node import Node

from awml_deploy_ros.counters import DropReason, FrameCounters
from awml_deploy_ros.frame import Transport
from awml_deploy_ros.image_input import stamp_ns
from awml_deploy_ros.input_subscription import InputSubscription
from awml_deploy_ros.pairing import Pairer, SensorPair, WaitingCloud
from awml_deploy_ros.tf import TransformBuffer
from awml_deploy_ros.tf.listener import TransformListener
from awml_deploy_ros.tf.tf2_store import open_store
from awml_deploy_ros.topics import CAMERA_INFO, IMAGE, POINT_CLOUD, TopicSpec
from awml_deploy_ros.worker import InferenceWorker


class CalibrationStream:
    """What an active node has that an inactive one has not, until it is closed.

    Args:
        node: The node that subscribes.
        pairer: Finds the image of a cloud.
        make_worker: Makes the worker, given where transforms come from.
        on_cloud: Called with the topic's full name and every cloud, before it is paired.
        hold: Called likewise with images and camera infos.
        counters: Gets the clouds that the middleware lost, and those that still wait at the end.
        on_transforms: Called with every message of /tf and /tf_static (whether it is static first).
    """

    def __init__(
        self,
        node: Node,
        pairer: Pairer,
        make_worker: Callable[[TransformBuffer], InferenceWorker[Any]],
        on_cloud: Callable[[str, TopicSpec, Any], None],
        hold: Callable[[str, str, Any], None],
        counters: FrameCounters,
        on_transforms: Callable[[bool, Any], None],
    ) -> None:
        self._pairer = pairer
        self._on_arrival = on_cloud
        self._hold = hold
        self._counters = counters
        buffer = TransformBuffer(open_store())
        self.transforms = TransformListener(node, buffer, on_transforms)
        self.worker = make_worker(buffer)
        self.worker.start()
        self.topic_name = node.resolve_topic_name(POINT_CLOUD.name)
        self.subscription = InputSubscription(node, POINT_CLOUD, self._on_cloud, counters)
        adders = {IMAGE: pairer.add_image, CAMERA_INFO: pairer.add_info}
        self.subscriptions = [
            self.subscription,
            *(
                InputSubscription(
                    node, topic, partial(self._on_camera, topic, node.resolve_topic_name(topic.name), add)
                )
                for topic, add in adders.items()
            ),
        ]

    def close(self) -> None:
        """Unsubscribe, finish the frame in work and forget what waits."""
        # A worker that is left, because something before it raised, keeps the process from ending.
        with ExitStack() as last_first:
            last_first.callback(self.worker.stop)
            last_first.callback(self.transforms.close)
            for subscription in self.subscriptions:
                last_first.callback(subscription.close)
        for _ in range(self._pairer.waiting):
            self._counters.count_received()
            self._counters.count_dropped(DropReason.DEACTIVATED)

    def _on_cloud(self, message: Any, transport: Transport) -> None:
        self._on_arrival(self.topic_name, POINT_CLOUD, message)
        cloud = WaitingCloud(stamp_ns(message.header), message, time.monotonic_ns(), transport)
        self._submit(self._pairer.add_cloud(cloud))

    def _on_camera(
        self,
        topic: TopicSpec,
        name: str,
        add: Callable[[int, Any], Iterable[SensorPair]],
        message: Any,
        transport: Transport,
    ) -> None:
        self._hold(name, topic.type, message)
        self._submit(add(stamp_ns(message.header), message))

    def _submit(self, pairs: Iterable[SensorPair]) -> None:
        for pair in pairs:
            # One without an image must not take the place of one that has.
            if pair.problem is not None:
                self.worker.refuse(pair.problem)
            else:
                self.worker.submit(pair, pair.cloud.transport, pair.cloud.arrival_ns)
