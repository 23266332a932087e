"""Configuration of a calibration-status classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from awml_deploy_core.errors import ConfigError
from awml_deploy_core.validation import problem_clauses
from awml_extractors.axes import AxisRange, check_axis
from awml_extractors.bundle_names import OnnxFile
from awml_extractors.run_options import RunOptions

CHANNELS = 5
"""Blue, green, red, depth, intensity."""


class CalibrationStatusOptions(RunOptions):
    """Run-time options of the pre-processing."""

    subject: ClassVar[str] = "pre-processing options"

    rectify: bool = True
    """Whether images are rectified with the distortion of their calibration; false where they are
    already, as behind ROS image_proc."""


class CalibrationStatusConfig(BaseModel):
    """One classifier: its classes, how its input is made, and the image sizes it is built for.

    Defaults are those of AWML's configuration and of Autoware's ``calibration_status_classifier``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    class_names: tuple[str, ...] = ("miscalibrated", "calibrated")
    """In the order of the logits."""
    max_depth: Annotated[float, Field(gt=0, le=1e4, allow_inf_nan=False)] = 128.0
    """Points from this depth [m] on are left out; it becomes 1 in the depth channel."""
    dilation_size: Annotated[int, Field(ge=0, le=16)] = 1
    """Pixels that a point covers to each side of its own; 1 is a patch of 3 x 3."""
    batch_size: AxisRange = (1, 1, 8)
    """One number, or least, usual and largest batch of the exported graph."""
    height: AxisRange = (1080, 1860, 2160)
    """Least, usual and largest height of an image [px]."""
    width: AxisRange = (1920, 2880, 3840)
    """Least, usual and largest width of an image [px]."""
    onnx_file: OnnxFile = "calibration_status_classifier.onnx"
    """File name in a bundle: letters, digits, `_`, `.`, `-`, ending in `.onnx`."""
    options: CalibrationStatusOptions = CalibrationStatusOptions()
    """Defaults of the run-time options."""

    @field_validator("batch_size", "height", "width")
    @classmethod
    def _check_axis(cls, axis: AxisRange) -> AxisRange:
        return check_axis(axis)

    @model_validator(mode="after")
    def _check(self) -> CalibrationStatusConfig:
        if len(set(self.class_names)) != 2 or len(self.class_names) != 2:
            raise ValueError(f"class_names must be two different names, got {list(self.class_names)}")
        return self


def parse_config(raw: Mapping[str, Any]) -> CalibrationStatusConfig:
    """A configuration from its keys.

    Raises:
        ConfigError: Keys are unknown or invalid; all are listed.
    """
    try:
        return CalibrationStatusConfig.model_validate(dict(raw))
    except ValidationError as error:
        problems = problem_clauses(error, CalibrationStatusConfig)
        raise ConfigError("model", "is invalid", problems=problems) from None
