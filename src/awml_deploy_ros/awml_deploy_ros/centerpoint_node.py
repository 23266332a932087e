"""Lifecycle node ``centerpoint``: clouds in, detections and their record out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from awml_deploy_core.points import PointCloudFrame
from awml_deploy_ros.cloud_input import field_mapping, frame_of
from awml_deploy_ros.cloud_preparation import CloudPreparation
from awml_deploy_ros.cloud_stream import CloudStream
from awml_deploy_ros.counters import CLOUDS
from awml_deploy_ros.densification import Densifier
from awml_deploy_ros.model import OpenModel
from awml_deploy_ros.node.model_node import ModelNode
from awml_deploy_ros.node.run import run_model_node
from awml_deploy_ros.outputs.base import OutputContext
from awml_deploy_ros.parameters import CENTERPOINT
from awml_deploy_ros.process import FatalErrors, node_parser
from awml_deploy_ros.settings import NodeSettings
from awml_deploy_ros.tf.listener import require_messages
from awml_deploy_ros.topics import POINT_CLOUD
from awml_deploy_ros.worker import InferenceWorker


class CenterPointNode(ModelNode[NodeSettings]):
    """Detections in point clouds.

    Args:
        fatal: Where unexpected exceptions go.
        options: Passed to :class:`~awml_deploy_ros.node.model_node.ModelNode`.
    """

    task = "detection3d"
    inputs = CLOUDS

    def __init__(self, fatal: FatalErrors, **options: Any) -> None:
        super().__init__("centerpoint", fatal, CENTERPOINT, **options)

    def settings_of(self, values: Mapping[str, Any]) -> NodeSettings:
        settings = NodeSettings.from_values(values)
        # A mapping of two columns to one field is refused now rather than with the first cloud.
        self._mapping = field_mapping(settings.field_mapping)
        if settings.densification.num_past_frames:
            require_messages()
        return settings

    def output_context(self, settings: NodeSettings, model: OpenModel) -> OutputContext:
        context = super().output_context(settings, model)
        return replace(context, marker_lifetime_ms=settings.marker_lifetime_ms)

    def open_stream(self, settings: NodeSettings) -> CloudStream:
        decode = partial(frame_of, mapping=self._mapping, check_is_dense=settings.check_is_dense)

        def make_worker(densifier: Densifier) -> InferenceWorker[PointCloudFrame]:
            past = settings.densification.num_past_frames
            return self.make_worker(CloudPreparation(decode, densifier, past))

        return CloudStream(
            self,
            settings.densification,
            make_worker,
            self._on_arrival,
            self.ledger.counters,
            self.companions.hold_transforms,
        )

    def _on_arrival(self, topic: str, message: Any) -> None:
        self.arrived(topic, POINT_CLOUD, message)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    parser = node_parser("centerpoint_node", __doc__)
    return run_model_node(parser, CenterPointNode, args)


if __name__ == "__main__":
    sys.exit(main())
