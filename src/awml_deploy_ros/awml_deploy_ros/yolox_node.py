"""Lifecycle node ``yolox``: images in, 2D detections and their record out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from awml_deploy_ros.counters import IMAGES, FrameCounters
from awml_deploy_ros.frame import Transport
from awml_deploy_ros.image_input import ImagePreparation
from awml_deploy_ros.image_parameters import YOLOX, yolox_settings
from awml_deploy_ros.input_subscription import InputSubscription
from awml_deploy_ros.node.model_node import ModelNode
from awml_deploy_ros.node.model_settings import ModelSettings
from awml_deploy_ros.node.run import run_model_node
from awml_deploy_ros.process import FatalErrors, node_parser
from awml_deploy_ros.topics import IMAGE
from awml_deploy_ros.worker import InferenceWorker


class ImageStream:
    """Images from their topic into a worker, until it is closed.

    Args:
        node: The node that subscribes.
        worker: Gets the images; not started yet.
        counters: Gets the images that the middleware lost.
    """

    def __init__(self, node: YoloxNode, worker: InferenceWorker[Any], counters: FrameCounters) -> None:
        self._node = node
        self.worker = worker
        self.worker.start()
        self.topic_name = node.resolve_topic_name(IMAGE.name)
        self.subscription = InputSubscription(node, IMAGE, self._on_image, counters)

    def close(self) -> None:
        """Unsubscribe and finish the image in work."""
        try:
            self.subscription.close()
        finally:
            self.worker.stop()

    def _on_image(self, message: Any, transport: Transport) -> None:
        self._node.arrived(self.topic_name, IMAGE, message)
        self.worker.submit(message, transport)


class YoloxNode(ModelNode[ModelSettings]):
    """Detections in images.

    Args:
        fatal: Where unexpected exceptions go.
        options: Passed to :class:`~awml_deploy_ros.node.model_node.ModelNode`.
    """

    task = "detection2d"
    inputs = IMAGES

    def __init__(self, fatal: FatalErrors, **options: Any) -> None:
        super().__init__("yolox", fatal, YOLOX, **options)

    def settings_of(self, values: Mapping[str, Any]) -> ModelSettings:
        return yolox_settings(values)

    def open_stream(self, settings: ModelSettings) -> ImageStream:
        return ImageStream(self, self.make_worker(ImagePreparation()), self.ledger.counters)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_model_node(node_parser("yolox_node", __doc__), YoloxNode, args)


if __name__ == "__main__":
    sys.exit(main())
