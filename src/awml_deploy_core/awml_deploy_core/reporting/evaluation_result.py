"""Records of an evaluation in the result model."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from awml_deploy_core.evaluation.latency import LatencyStatistics
from awml_deploy_core.evaluation.memory import MemoryUse
from awml_deploy_core.evaluation.task import AccuracyResult, AgreementResult
from awml_deploy_core.reporting.records import CheckRecord, Record, StatusText


class EvidenceRecord(Record):
    """A frame that a backend does well or badly on."""

    sample: str
    score: float
    """The larger the better, in [0, 1]."""
    summary: str
    judged_by: str
    """``ground truth`` or ``agreement with <backend>:<device>``."""
    output: tuple[dict[str, Any], ...]
    """Of 3D detection: class, score, center x y z [m], size length width height [m], yaw [rad], velocity
    [m/s]. Of 2D detection: class, score, box left top right bottom [px]. Of a classification: class, score,
    probabilities by class."""
    picture: str | None = None
    """Path of a PNG file."""


class EvaluatedBackendRecord(Record):
    """One backend on one device. What was not measured has a reason instead."""

    name: str
    """``backend:device``."""
    required: bool
    """Whether it fails the run if it cannot run here."""
    status: StatusText
    seconds: float
    frames: int
    """Samples that ran."""
    resumed: int
    """Of these, results kept by an earlier run."""
    accuracy: AccuracyResult | None = None
    accuracy_missing: str | None = None
    agreement: AgreementResult | None = None
    """With the reference, the first backend."""
    agreement_missing: str | None = None
    latency: LatencyStatistics | None = None
    latency_missing: str | None = None
    memory: MemoryUse | None = None
    size_bytes: int | None = None
    """Of the files that the backend loads."""
    figures: dict[str, float] = Field(default_factory=dict)
    """Everything that a floor can name, by name."""
    best: tuple[EvidenceRecord, ...] = ()
    worst: tuple[EvidenceRecord, ...] = ()
    checks: tuple[CheckRecord, ...]
    """That it ran every sample, and the floors."""


class EvaluationRecord(Record):
    """A whole evaluation."""

    status: StatusText
    summary: str
    task: str
    samples: tuple[str, ...]
    """Sources the samples came from."""
    num_samples: int
    floors: int = 0
    """Limits that the configuration sets; without any, nothing was asked of the figures."""
    backends: tuple[EvaluatedBackendRecord, ...]
    """The first is the reference of the agreement."""
    checks: tuple[CheckRecord, ...] = ()
    """Floors of backends that are not evaluated."""
