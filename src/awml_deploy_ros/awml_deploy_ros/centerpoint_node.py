"""Lifecycle node ``centerpoint``: clouds in, detections and their record out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from awml_deploy_ros.cloud_input import field_mapping, frame_of
from awml_deploy_ros.cloud_stream import CloudStream
from awml_deploy_ros.densification import Densifier
from awml_deploy_ros.model import ModelOpener, OpenModel, open_bundle
from awml_deploy_ros.node.model_node import ModelNode
from awml_deploy_ros.node.run import run_model_node
from awml_deploy_ros.outputs import OutputSet
from awml_deploy_ros.outputs.base import OutputContext
from awml_deploy_ros.parameters import CENTERPOINT
from awml_deploy_ros.process import FatalErrors, node_parser
from awml_deploy_ros.settings import NodeSettings
from awml_deploy_ros.tf.listener import require_messages
from awml_deploy_ros.topics import POINT_CLOUD, TF, TF_STATIC
from awml_deploy_ros.worker import InferenceWorker


class CenterPointNode(ModelNode[NodeSettings]):
    """Detections in point clouds.

    Args:
        fatal: Where unexpected exceptions go.
        open_model: Opens the model that the parameters name.
    """

    def __init__(
        self, fatal: FatalErrors, *, open_model: ModelOpener = open_bundle, **node_options: Any
    ) -> None:
        self._opener = open_model
        super().__init__("centerpoint", fatal, CENTERPOINT, **node_options)

    def settings_of(self, values: Mapping[str, Any]) -> NodeSettings:
        settings = NodeSettings.from_values(values)
        # A mapping of two columns to one field is refused now rather than with the first cloud.
        self._mapping = field_mapping(settings.field_mapping)
        if settings.densification.num_past_frames:
            require_messages()
        return settings

    def open_model(self, settings: NodeSettings) -> OpenModel:
        return self._opener(settings)

    def make_outputs(self, settings: NodeSettings, model: OpenModel) -> OutputSet:
        return OutputSet(
            settings.outputs,
            OutputContext(
                self,
                model.identity,
                self.ledger.counters,
                self.ledger.age_of,
                settings.marker_lifetime_ms,
                self.ledger.timed,
                self.companions.hold,
            ),
        )

    def open_stream(self, settings: NodeSettings) -> CloudStream:
        decode = partial(frame_of, mapping=self._mapping, check_is_dense=settings.check_is_dense)

        def make_worker(densifier: Densifier) -> InferenceWorker:
            return InferenceWorker(
                lambda: self.pipeline,
                decode,
                densifier,
                self.ledger.counters,
                self.finish,
                self.report_error,
                self.fatal,
                settings.densification.num_past_frames,
            )

        return CloudStream(
            self,
            settings.densification,
            make_worker,
            self._on_arrival,
            self.ledger.counters,
            self._on_transforms,
        )

    def _on_arrival(self, topic: str, message: Any) -> None:
        self.ledger.arrived()
        self.companions.hold(topic, POINT_CLOUD.type, message)

    def _on_transforms(self, static: bool, message: Any) -> None:
        topic = TF_STATIC if static else TF
        self.companions.hold(topic.name, topic.type, message, latched=static)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    parser = node_parser("centerpoint_node", __doc__)
    return run_model_node(parser, CenterPointNode, args)


if __name__ == "__main__":
    sys.exit(main())
