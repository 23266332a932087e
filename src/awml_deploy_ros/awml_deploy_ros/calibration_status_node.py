"""Lifecycle node ``calibration_status``: is the LiDAR where the camera is said to see it?"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from awml_deploy_core.errors import ParameterError
from awml_deploy_ros.calibration_input import PairPreparation
from awml_deploy_ros.calibration_stream import CalibrationStream
from awml_deploy_ros.calibration_watch import CalibrationWatch, JudgedFrame
from awml_deploy_ros.cloud_input import field_mapping
from awml_deploy_ros.counters import CLOUDS_WITH_IMAGES
from awml_deploy_ros.diagnostics import StatusReport
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.health import Health, Level
from awml_deploy_ros.image_input import stamp_ns
from awml_deploy_ros.image_parameters import CALIBRATION_STATUS, CalibrationSettings
from awml_deploy_ros.model import OpenModel
from awml_deploy_ros.node.model_node import ModelNode
from awml_deploy_ros.node.run import run_model_node
from awml_deploy_ros.pairing import Pairer
from awml_deploy_ros.process import FatalErrors, node_parser
from awml_deploy_ros.tf.listener import require_messages

_STATUS = "calibration"


class CalibrationStatusNode(ModelNode[CalibrationSettings]):
    """Tells in diagnostics whether camera and LiDAR are calibrated to each other.

    Args:
        fatal: Where unexpected exceptions go.
        options: Passed to :class:`~awml_deploy_ros.node.model_node.ModelNode`.
    """

    task = "classification"
    inputs = CLOUDS_WITH_IMAGES

    def __init__(self, fatal: FatalErrors, **options: Any) -> None:
        self._watch: CalibrationWatch | None = None
        super().__init__("calibration_status", fatal, CALIBRATION_STATUS, **options)

    def settings_of(self, values: Mapping[str, Any]) -> CalibrationSettings:
        settings = CalibrationSettings.from_values(values)
        # A mapping of two columns to one field is refused now rather than with the first cloud.
        self._mapping = field_mapping(settings.field_mapping)
        require_messages()
        return settings

    def check_model(self, settings: CalibrationSettings, model: OpenModel) -> None:
        super().check_model(settings, model)
        if settings.limits.class_name not in model.class_names:
            raise ParameterError(
                "calibration.class_name",
                "is no class of the model",
                got=repr(settings.limits.class_name),
                expected=" or ".join(model.class_names),
            )

    def open_stream(self, settings: CalibrationSettings) -> CalibrationStream:
        self._watch = CalibrationWatch(settings.limits)
        return CalibrationStream(
            self,
            Pairer(round(settings.max_stamp_difference_ms * 1e6), settings.max_waiting_clouds),
            lambda transforms: self.make_worker(PairPreparation(settings, self._mapping, transforms)),
            self.arrived,
            self.companions.hold,
            self.ledger.counters,
            self.companions.hold_transforms,
        )

    def finish(self, frame: ProcessedFrame) -> None:
        watch, sample = self._watch, frame.sample
        assert watch is not None
        stamp = stamp_ns(frame.header)
        values = {
            "stamp_s": f"{stamp * 1e-9:.9f}",
            "camera": sample.image.frame_id,
            "lidar": frame.header.frame_id,
            "stamp_difference_ms": f"{(sample.image.stamp_ns - stamp) * 1e-6:.3f}",
            **{name: str(count) for name, count in frame.counts.items()},
        }
        watch.note(JudgedFrame(frame.output, values, time.monotonic_ns()))
        super().finish(frame)

    def own_reports(self, now_ns: int, *, active: bool) -> list[StatusReport]:
        watch = self._watch
        if not active or watch is None:
            return [StatusReport(_STATUS, Health(Level.OK, "inactive"), {})]
        return [StatusReport(_STATUS, watch.health(now_ns), watch.values())]


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_model_node(node_parser("calibration_status_node", __doc__), CalibrationStatusNode, args)


if __name__ == "__main__":
    sys.exit(main())
