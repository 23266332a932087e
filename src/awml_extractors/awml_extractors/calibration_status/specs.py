"""The one component of the classifier and its tensors (AWML's and Autoware's names)."""

from __future__ import annotations

from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_extractors.axes import axis_of
from awml_extractors.calibration_status.config import CHANNELS, CalibrationStatusConfig

CLASSIFIER = "calibration_status_classifier"


def component_spec(config: CalibrationStatusConfig) -> ComponentSpec:
    """``input [batch, 5, height, width]`` -> ``output [batch, 2]``, logits, both float32."""
    batch = axis_of("batch_size", config.batch_size)
    size = axis_of("height", config.height), axis_of("width", config.width)
    return ComponentSpec(
        CLASSIFIER,
        config.onnx_file,
        (TensorSpec("input", (batch, CHANNELS, *size)),),
        (TensorSpec("output", (batch, len(config.class_names))),),
    )
