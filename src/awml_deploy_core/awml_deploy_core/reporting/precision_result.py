"""Records of a precision study in the result model."""

from __future__ import annotations

from pydantic import Field

from awml_deploy_core.config.precision_schema import VariantName
from awml_deploy_core.evaluation.latency import LatencyStatistics
from awml_deploy_core.evaluation.task import AccuracyResult
from awml_deploy_core.reporting.records import CheckRecord, Record, StatusText


class LimitRecord(Record):
    """A limit that a precision has to keep to be chosen."""

    name: str
    limit: float
    value: float | None = None
    keeps: bool | None = None
    """None if it was not measured."""
    message: str


class SpreadRecord(Record):
    """How a difference of matched boxes is distributed."""

    p50: float
    p99: float
    max: float


class VariantAgreementRecord(Record):
    """How much the outputs are those of FP32, at the options of the deployment."""

    frames: int
    share: float
    """Of the boxes of both sides, those that have a partner."""
    matched: int
    only_in_reference: int
    only_in_variant: int
    differences: dict[str, SpreadRecord]
    """Of matched boxes: position [m], size [m], yaw [rad], velocity [m/s], score."""


class VariantBackendRecord(Record):
    """One precision on one backend. What was not measured has a reason instead."""

    backend: str
    missing: str | None = None
    """Why nothing was measured."""
    frames: int = 0
    seconds: float = 0.0
    accuracy: AccuracyResult | None = None
    accuracy_missing: str | None = None
    agreement: VariantAgreementRecord | None = None
    agreement_missing: str | None = None
    latency: LatencyStatistics | None = None
    """Of all precisions in turn, frame by frame."""
    latency_missing: str | None = None


class TensorErrorRecord(Record):
    """An output of a component, fed with FP32's inputs, at worst over some samples."""

    component: str
    tensor: str
    relative: float
    """Largest difference over the largest magnitude."""
    relative_p999: float
    cosine: float | None = None


class VariantRecord(Record):
    """One precision of the whole model."""

    name: VariantName
    missing: str | None = None
    """Why it could not be made or measured."""
    size_bytes: int | None = None
    """Of the ONNX files."""
    fp32_groups: tuple[str, ...] = ()
    """Layer groups that stay FP32."""
    num_groups: int = 0
    keeps_limits: bool
    limits: tuple[LimitRecord, ...] = ()
    backends: tuple[VariantBackendRecord, ...] = ()
    """The first is what the limits are judged by."""
    tensors: tuple[TensorErrorRecord, ...] = ()


class SensitivityRecord(Record):
    """What lowering one layer group alone does."""

    component: str
    group: str
    layers: tuple[str, ...]
    """Names of its ONNX nodes with weights."""
    error: float
    """Largest 99.9th percentile of the differences of an output, over its largest magnitude."""
    tensor: str
    agreement: float
    """Share of boxes that stay."""


class PrecisionRecord(Record):
    """A whole precision study."""

    status: StatusText
    summary: str
    samples: tuple[str, ...]
    """Sources of what was measured on."""
    num_samples: int
    calibration: tuple[str, ...]
    """Sources of what the ranges of INT8 and the sensitivities come from."""
    num_calibration: int
    figure: str
    """The accuracy that may not be lost."""
    variants: tuple[VariantRecord, ...]
    mixed_of: str
    """What the mixed variant lowers its other groups to."""
    sensitivities: tuple[SensitivityRecord, ...] = ()
    """The most sensitive group first."""
    sensitivity_missing: str | None = None
    chosen: VariantName | None = None
    reason: str
    written: str | None = None
    """Folder of the bundle of the chosen precision."""
    notes: tuple[str, ...] = ()
    checks: tuple[CheckRecord, ...] = Field(default=())
