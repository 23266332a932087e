"""From an image and a cloud to the probability that they belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import Self

from awml_deploy_core.classification import Classification
from awml_deploy_core.components import DynamicAxis
from awml_deploy_core.errors import ImageError
from awml_deploy_core.images import CameraCalibration, Image, LidarCameraFrame
from awml_deploy_core.pipeline import InferencePipeline, StageClock, TensorTap, require_sessions
from awml_deploy_core.points import PointColumns
from awml_deploy_core.runtime.session import Session
from awml_extractors.calibration_status.config import CalibrationStatusConfig
from awml_extractors.calibration_status.projection import make_input
from awml_extractors.calibration_status.rectification import Rectifier
from awml_extractors.calibration_status.specs import CLASSIFIER

STAGES = ("rectify", "project", "model", "softmax")


class CalibrationStatusPipeline(InferencePipeline[LidarCameraFrame, Classification]):
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
        self._config = config
        self._options = config.options.merged(options)
        (self._session,) = require_sessions("calibration status pipeline", sessions, CLASSIFIER)
        self._rectifier = Rectifier()

    @property
    def sessions(self) -> tuple[Session, ...]:
        return (self._session,)

    def option_values(self) -> dict[str, Any]:
        """Options in force."""
        return self._options.model_dump()

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """This pipeline with some options changed; session and work buffers are shared.

        Raises:
            ParameterError: Any option is unknown or invalid; all problems are listed.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _options=self._options.merged(options))
        return other

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
            tensor = self._padded(tensor)
        with clock.stage("model"):
            (name,) = (spec.name for spec in self._session.spec.inputs)
            outputs = self._run_session(self._session, {name: tensor}, tap)
            (logits,) = (outputs[spec.name] for spec in self._session.spec.outputs)
        with clock.stage("softmax"):
            result = Classification.from_logits(logits[0], self._config.class_names)
        return result, {"points_in": len(sample.cloud), "points_projected": projected}

    def _padded(
        self, tensor: np.ndarray[Any, np.dtype[np.float32]]
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The image alone, or with empty ones after it where the graph has a larger batch."""
        axis = self._session.spec.inputs[0].shape[0]
        least = axis.min if isinstance(axis, DynamicAxis) else axis
        if least == 1:
            return tensor
        return np.concatenate([tensor, np.zeros((least - 1, *tensor.shape[1:]), np.float32)])

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
