"""The ``precision`` section of a deploy.yaml: what the precision study tries and what has to hold.

The docstring under a field is its entry in the generated configuration reference.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from awml_deploy_core.config.evaluation_schema import DatasetSection
from awml_deploy_core.config.values import Section

VariantName = Literal["fp32", "fp16", "int8", "mixed"]
Lowered = Literal["fp16", "int8"]
CalibrationMethod = Literal["minmax", "percentile", "entropy"]

_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(gt=0)]


class Int8Section(Section):
    """How graphs are quantised: 8 bits, weights by channel, everything symmetric."""

    operators: tuple[Literal["Conv", "ConvTranspose", "Gemm", "MatMul"], ...] = ("Conv", "Gemm", "MatMul")
    """Operators with weights that are quantised. `ConvTranspose` is left out because neither ONNX Runtime
    on the CPU nor TensorRT-RTX has an 8-bit kernel for it."""
    outputs: bool = True
    """Whether what these operators give is quantised too, which ONNX Runtime's 8-bit kernels need on the
    CPU. An operator before a Relu takes the Relu's scale, so that nothing is lost by it; outputs of the
    graph are never quantised."""
    method: CalibrationMethod = "minmax"
    """How the range of a tensor follows from its values in the calibration samples."""
    percentile: Annotated[float, Field(gt=50, le=100)] = 99.999
    """Of `method: percentile`: share of the values [%] within the range."""


class PrecisionSection(Section):
    """What `precision` tries, on what, and which limits the chosen precision has to keep."""

    variants: tuple[VariantName, ...] = ("fp32", "fp16", "int8", "mixed")
    """What is tried. `fp32` is the reference and always runs."""
    mixed_of: Lowered = "int8"
    """What `mixed` lowers: every layer group but those that the limits need in FP32."""
    calibration: tuple[DatasetSection, ...] = ()
    """Samples that give the ranges of the quantised tensors; empty takes those of `evaluation.datasets`,
    or without any `verification.samples`. They should not be the samples that are measured on."""
    num_calibration: _Count = 32
    """How many of them."""
    fp32_nodes: tuple[str, ...] = ()
    """Names of ONNX nodes that stay FP32 in every variant; `*` and `?` as in file names."""
    group_depth: Annotated[int, Field(ge=0, le=32)] = 4
    """A layer group is the layers whose weights (or else nodes) share this many parts of their name,
    e.g. 3 gives `backbone.blocks.0`; 0 makes every layer a group."""
    num_sensitivity: _Count = 8
    """On how many samples each layer group is lowered alone."""
    figure: str = "mean_ap"
    """The accuracy that may not be lost, by the name that floors use."""
    max_loss: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """Largest loss of it against FP32."""
    min_agreement: _Share = 0.95
    """Least share of the boxes, at the options of the deployment, that FP32 has too."""
    int8: Int8Section = Int8Section()
    latency_frames: Annotated[int, Field(ge=0)] = 40
    """Frames that every variant runs in turn with the others; 0 leaves latency out."""
    budget_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3600.0
    """Seconds after which nothing more is begun; what is left out is reported as skipped. Finished
    results are kept, so that the next run goes on."""
