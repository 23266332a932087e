"""The one component of YOLOX and its tensors (AWML's and Autoware's names)."""

from __future__ import annotations

from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_extractors.axes import axis_of
from awml_extractors.yolox.config import YoloxConfig

DETECTOR = "yolox"


def component_spec(config: YoloxConfig) -> ComponentSpec:
    """``images [B, 3, H, W]`` -> ``output [B, cells, 5 + K]``, both float32.

    ``images`` are blue, green, red from 0 to 255, letterboxed. A row of ``output`` is a cell, levels
    with strides 8, 16, 32 one after the other and row by row: regression of the box, not decoded,
    objectness and class scores after the sigmoid. Autoware's ``tensorrt_yolox`` binds both by index.
    """
    batch = axis_of("batch_size", config.batch_size)
    return ComponentSpec(
        DETECTOR,
        config.onnx_file,
        (TensorSpec("images", (batch, 3, *config.input_size)),),
        (TensorSpec("output", (batch, config.num_cells, config.num_values)),),
    )
