"""What an evaluation found, backend by backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from awml_deploy_core.evaluation.latency import LatencyStatistics
from awml_deploy_core.evaluation.memory import MemoryUse
from awml_deploy_core.evaluation.task import AccuracyResult, AgreementResult, FrameScore, TaskFrame
from awml_deploy_core.verification import CheckResult, Endpoint, Status, Verdict


@dataclass(frozen=True)
class EvaluatedBackend:
    """A backend to evaluate."""

    endpoint: Endpoint
    required: bool = True


@dataclass(frozen=True, eq=False)
class JudgedFrame:
    """A frame that is kept as evidence."""

    index: int
    """Position among the samples."""
    frame: TaskFrame[Any, Any]
    score: FrameScore
    judged_by: str
    """``ground truth`` or ``agreement with <reference>``."""


@dataclass(frozen=True, eq=False)
class FrameRun:
    """All samples run on one backend."""

    frames: dict[int, TaskFrame[Any, Any]]
    """By position among the samples; those that failed are missing."""
    failures: tuple[tuple[str, str], ...]
    """Sample id and reason of those that could not be run."""
    resumed: int
    """Frames taken from an earlier run."""


@dataclass(frozen=True, eq=False)
class BackendResult:
    """One backend; what could not be measured is None, with the reason."""

    backend: EvaluatedBackend
    checks: tuple[CheckResult, ...]
    seconds: float
    run: FrameRun | None = None
    """None if the backend cannot run."""
    accuracy: AccuracyResult | None = None
    accuracy_missing: str | None = None
    agreement: AgreementResult | None = None
    agreement_missing: str | None = None
    latency: LatencyStatistics | None = None
    latency_missing: str | None = None
    memory: MemoryUse | None = None
    size_bytes: int | None = None
    best: tuple[JudgedFrame, ...] = ()
    worst: tuple[JudgedFrame, ...] = ()

    @property
    def name(self) -> str:
        """``backend:device``."""
        return str(self.backend.endpoint)

    @property
    def status(self) -> Status:
        """State of this backend alone; skipped if nothing of it could run."""
        if self.checks and all(check.status is Status.SKIPPED for check in self.checks):
            return Status.SKIPPED
        return Verdict(self.checks).status

    def figures(self) -> dict[str, float]:
        """Everything that a floor can name."""
        found: dict[str, float] = dict(self.accuracy.figures) if self.accuracy else {}
        if self.agreement:
            found |= {f"agreement/{name}": value for name, value in self.agreement.figures.items()}
        if self.latency:
            found["latency/throughput_hz"] = self.latency.throughput_hz
            for statistics in (self.latency.end_to_end, *self.latency.stages):
                stage = "" if statistics is self.latency.end_to_end else f"{statistics.stage}/"
                figures = statistics.model_dump(exclude={"stage", "clock", "frames"})
                found |= {f"latency/{stage}{name}": value for name, value in figures.items()}
        if self.memory:
            found["memory/peak_mb"] = self.memory.peak_mb
            if self.memory.device_mb is not None:
                found["memory/device_mb"] = self.memory.device_mb
        if self.size_bytes is not None:
            found["size/mb"] = self.size_bytes / 1e6
        return found


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """All backends of one evaluation, the reference first."""

    task: str
    num_samples: int
    backends: tuple[BackendResult, ...]
    checks: tuple[CheckResult, ...] = ()
    """Those that are of none of the backends."""

    @property
    def verdict(self) -> Verdict:
        """One verdict over everything."""
        own = tuple(check for backend in self.backends for check in backend.checks)
        return Verdict((*own, *self.checks))
