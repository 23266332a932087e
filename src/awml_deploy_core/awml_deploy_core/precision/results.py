"""What a precision study found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from awml_deploy_core.config.precision_schema import VariantName
from awml_deploy_core.evaluation.latency import LatencyStatistics
from awml_deploy_core.evaluation.task import AccuracyResult
from awml_deploy_core.precision.groups import LayerGroup
from awml_deploy_core.verification import CheckResult, Endpoint, Verdict


@dataclass(frozen=True)
class Spread:
    """How a difference of matched boxes is distributed."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class Agreement:
    """How much the outputs of a variant are those of FP32."""

    frames: int
    share: float
    """Of boxes: matched ones of both sides over all, 1 if there is none. Of other outputs: frames that
    agree."""
    matched: int = 0
    only_in_reference: int = 0
    only_in_variant: int = 0
    differences: Mapping[str, Spread] = field(default_factory=dict)
    """Of matched boxes: position [m], size [m], yaw [rad], velocity [m/s], score."""


@dataclass(frozen=True)
class TensorError:
    """How far an output of a component is from FP32, at worst over some samples."""

    component: str
    tensor: str
    relative: float
    """Largest difference over the largest magnitude."""
    relative_p999: float
    """99.9th percentile of the differences over the largest magnitude."""
    cosine: float | None
    """Least cosine similarity."""


@dataclass(frozen=True)
class GroupSensitivity:
    """What lowering one layer group alone does."""

    group: LayerGroup
    error: float
    """Largest ``relative_p999`` of the component's outputs."""
    tensor: str
    """The output with that error."""
    agreement: float
    """Share of boxes that stay."""

    @property
    def rank(self) -> tuple[float, float]:
        """The larger, the more the group needs FP32."""
        return 1 - self.agreement, self.error


@dataclass(frozen=True, eq=False)
class Measurement:
    """One variant on one backend; what could not be measured is None, with the reason."""

    endpoint: Endpoint
    seconds: float = 0.0
    frames: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    """Sample id and reason of those that could not be run."""
    accuracy: AccuracyResult | None = None
    accuracy_missing: str | None = None
    agreement: Agreement | None = None
    agreement_missing: str | None = None
    latency: LatencyStatistics | None = None
    latency_missing: str | None = None
    missing: str | None = None
    """Why nothing was measured."""


@dataclass(frozen=True)
class Limit:
    """A limit that a variant has to keep to be chosen."""

    name: str
    limit: float
    value: float | None
    """None if it was not measured."""
    keeps: bool | None
    """None if it was not measured."""
    message: str


@dataclass(frozen=True, eq=False)
class VariantResult:
    """One precision of the whole model."""

    name: VariantName
    missing: str | None = None
    """Why it could not be made or measured."""
    size_bytes: int | None = None
    """Of the ONNX files."""
    fp32_groups: tuple[str, ...] = ()
    """Layer groups that stay FP32."""
    num_groups: int = 0
    """Of all layers that can be lowered."""
    measurements: tuple[Measurement, ...] = ()
    """One a backend, the first is what the limits are judged by."""
    tensors: tuple[TensorError, ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def keeps_limits(self) -> bool:
        """Whether every limit that could be measured holds, and any could."""
        judged = [limit.keeps for limit in self.limits if limit.keeps is not None]
        return self.missing is None and bool(judged) and all(judged)


@dataclass(frozen=True, eq=False)
class StudyResult:
    """All variants, fp32 first."""

    num_samples: int
    num_calibration: int
    variants: tuple[VariantResult, ...]
    sensitivities: tuple[GroupSensitivity, ...]
    """The most sensitive group first."""
    sensitivity_missing: str | None
    chosen: VariantName | None
    reason: str
    """Why it was chosen, or why nothing was."""
    checks: tuple[CheckResult, ...]

    @property
    def verdict(self) -> Verdict:
        """One verdict over everything."""
        return Verdict(self.checks)
