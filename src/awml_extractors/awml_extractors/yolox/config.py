"""Configuration of a YOLOX detector and the geometry that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from awml_deploy_core.errors import ConfigError
from awml_deploy_core.validation import problem_clauses
from awml_extractors.axes import AxisRange, check_axis
from awml_extractors.bundle_names import OnnxFile
from awml_extractors.yolox.options import YoloxOptions

STRIDES = (8, 16, 32)
"""Pixels to a cell of every level, in the order of the output."""
T4_CLASSES = ("unknown", "car", "truck", "bus", "trailer", "motorcycle", "pedestrian", "bicycle")
"""Classes of AWML's T4 models."""

Pixels = Annotated[int, Field(gt=0, le=8192)]
Factor = Annotated[float, Field(gt=0, le=8, allow_inf_nan=False)]


class YoloxConfig(BaseModel):
    """One YOLOX variant: classes, size of its input and network.

    Defaults are AWML's YOLOX_opt-S-DynamicRecognition, which Autoware calls yolox-sPlus-opt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    class_names: tuple[str, ...] = T4_CLASSES
    """In the order of the class scores."""
    input_size: tuple[Pixels, Pixels] = (960, 960)
    """Height and width of the network's input [px], multiples of 32."""
    batch_size: AxisRange = 1
    """One number, or least, usual and largest batch of the exported graph. Autoware's node takes the
    batch from the graph and needs one number."""
    arch: Literal["P5", "P5_ASPP"] = "P5"
    """Stages of the backbone: `P5`, or `P5_ASPP` with a pyramid of dilated convolutions in each."""
    deepen_factor: Factor = 2.0
    """Multiplies the blocks of every stage of the backbone."""
    widen_factor: Factor = 1.0
    """Multiplies the channels of backbone, neck and head, 64 to 512 and 128."""
    neck_blocks: Annotated[int, Field(gt=0, le=64)] = 2
    """Blocks of every aggregation layer of the neck."""
    activation: Literal["ReLU6", "ReLU"] = "ReLU6"
    """What follows every normalisation. A checkpoint does not tell."""
    onnx_file: OnnxFile = "yolox-sPlus-opt.onnx"
    """File name in a bundle: letters, digits, `_`, `.`, `-`, ending in `.onnx`."""
    options: YoloxOptions = YoloxOptions()
    """Defaults of the run-time options."""

    @field_validator("batch_size")
    @classmethod
    def _check_batch(cls, batch: AxisRange) -> AxisRange:
        return check_axis(batch)

    @model_validator(mode="after")
    def _check(self) -> YoloxConfig:
        problems = []
        if not self.class_names or len(set(self.class_names)) != len(self.class_names):
            problems.append(f"class_names must be non-empty and unique, got {list(self.class_names)}")
        if any(not name.strip() or "\n" in name for name in self.class_names):
            problems.append("class_names must be one line each, as label.txt holds them")
        if any(size % STRIDES[-1] for size in self.input_size):
            problems.append(f"input_size must be multiples of {STRIDES[-1]}, got {list(self.input_size)}")
        if int(32 * self.widen_factor) < 1 or any(
            not (width * self.widen_factor).is_integer() for width in (32, 64, 128)
        ):
            problems.append(f"widen_factor gives no whole number of channels, got {self.widen_factor:g}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def num_cells(self) -> int:
        """Rows of the output: cells of all levels."""
        height, width = self.input_size
        return sum((height // stride) * (width // stride) for stride in STRIDES)

    @property
    def num_values(self) -> int:
        """Columns of the output: four of the box, objectness, one score a class."""
        return 5 + len(self.class_names)


def parse_config(raw: Mapping[str, Any]) -> YoloxConfig:
    """A configuration from its keys.

    Raises:
        ConfigError: Keys are unknown or invalid; all are listed.
    """
    try:
        return YoloxConfig.model_validate(dict(raw))
    except ValidationError as error:
        raise ConfigError("model", "is invalid", problems=problem_clauses(error, YoloxConfig)) from None
