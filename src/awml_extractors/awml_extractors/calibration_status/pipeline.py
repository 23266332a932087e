"""From an image and a cloud to the probability that they belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from awml_deploy_core.classification import Classification
from awml_deploy_core.components import DynamicAxis
from awml_deploy_core.errors import ImageError
from awml_deploy_core.images import CameraCalibration, Image, LidarCameraFrame
from awml_deploy_core.pipeline import StageClock, TensorTap
from awml_deploy_core.points import PointColumns
from awml_deploy_core.runtime.session import Session
from awml_extractors.calibration_status.config import CalibrationStatusConfig, CalibrationStatusOptions
from awml_extractors.calibration_status.projection import make_input
from awml_extractors.calibration_status.rectification import Rectifier
from awml_extractors.calibration_status.specs import CLASSIFIER
from awml_extractors.single_pipeline import SinglePipeline

STAGES = ("rectify", "project", "model", "softmax")


class CalibrationStatusPipeline(SinglePipeline[LidarCameraFrame, Classification, CalibrationStatusOptions]):
    """Rectification, projection, network and softmax.

    Every frame reports the stages :data:`STAGES` and the counts ``points_in`` and
    ``points_projected``.

    Args:
        config: The classifier.
        sessions: Its session, by component name.
        options: Changes to ``config.options``.

    Raises:
        ConfigError: The session is missing.
        ParameterError: An option is unknown or invalid.
    """

    def __init__(
        self, config: CalibrationStatusConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
    ) -> None:
        super().__init__(
            "calibration status pipeline", CLASSIFIER, sessions, config.options.merged(options)
        )
        self._config = config
        self._rectifier = Rectifier()

    def warm_up(self) -> None:
        """Run the session once at the size it is optimised for."""
        height, width = (
            axis.opt if isinstance(axis, DynamicAxis) else axis
            for axis in self._session.spec.inputs[0].shape[2:]
        )
        nothing = np.zeros(0, np.float32)
        calibration = CameraCalibration(np.eye(3), np.eye(4), np.zeros(5))
        cloud = PointColumns(nothing, nothing, nothing, nothing)
        self.infer(LidarCameraFrame(Image(np.zeros((height, width, 3), np.uint8)), cloud, calibration))

    def _infer(
        self, sample: LidarCameraFrame, clock: StageClock, tap: TensorTap | None
    ) -> tuple[Classification, Mapping[str, int]]:
        self._check_size(sample.image)
        with clock.stage("rectify"):
            if self._options.rectify:
                image, calibration = self._rectifier.rectify(sample.image, sample.calibration)
                sample = LidarCameraFrame(image, sample.cloud, calibration)
        with clock.stage("project"):
            tensor, projected = make_input(sample, self._config.max_depth, self._config.dilation_size)
            tensor = self._batch(tensor)
        with clock.stage("model"):
            logits = self._run(tensor, tap)
        with clock.stage("softmax"):
            result = Classification.from_logits(logits[0], self._config.class_names)
        return result, {"points_in": len(sample.cloud), "points_projected": projected}

    def _check_size(self, image: Image) -> None:
        axes = self._session.spec.inputs[0].shape[2:]
        for name, actual, axis in zip(("height", "width"), (image.height, image.width), axes, strict=True):
            low, high = (axis.min, axis.max) if isinstance(axis, DynamicAxis) else (axis, axis)
            if not low <= actual <= high:
                raise ImageError(
                    f"image {name}",
                    "is outside what the model was exported for",
                    got=f"{actual} px",
                    expected=f"{low}..{high} px",
                    hint=f"Export the model with another model.{name}.",
                )
