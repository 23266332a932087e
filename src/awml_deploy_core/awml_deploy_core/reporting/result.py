"""The one result model of every command; each writer renders it and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from awml_deploy_core.evaluation import PrecisionRecall
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.reporting.engines import EngineBuildRecord, SelftestRecord
from awml_deploy_core.reporting.evaluation_result import EvaluationRecord
from awml_deploy_core.reporting.precision_result import PrecisionRecord
from awml_deploy_core.reporting.records import CheckRecord, Record, StatusText
from awml_deploy_core.reporting.verification_result import VerificationRecord

SCHEMA_VERSION = 1


class MachineRecord(Record):
    """Where a command ran."""

    python: str
    platform: str
    packages: dict[str, str]
    """Versions of the packages that decide results, those installed."""


class ExportRecord(Record):
    """One exported component."""

    component: str
    file: str
    """Relative to the bundle."""
    produced_by: str
    seconds: float
    size_bytes: int
    details: Mapping[str, Any] = Field(default_factory=dict)


class LatencyRecord(Record):
    """One stage over all frames [ms]."""

    stage: str
    clock: str
    frames: int
    p50: float
    p95: float
    p99: float
    max: float


class FrameRecord(Record):
    """One frame of an inference."""

    sample: str
    counts: dict[str, int] = Field(default_factory=dict)
    latencies_ms: dict[str, float] = Field(default_factory=dict)
    detections: tuple[dict[str, Any], ...] = ()
    """Class, score, center x y z [m], size length width height [m], yaw [rad], velocity [m/s]."""
    picture: str | None = None
    error: str | None = None
    """Why the frame could not be run."""


class InferenceRecord(Record):
    """A whole inference."""

    source: str
    backend: str
    device: str
    min_score: float
    detections_by_class: dict[str, int]
    latencies: tuple[LatencyRecord, ...]
    frames: tuple[FrameRecord, ...]


class ReplayRecord(Record):
    """A bag played into the running node."""

    source: str
    """Bag and topic."""
    backend: str
    device: str
    rate_hz: float
    seconds: float
    """Duration of the playback."""
    sent: int
    """Clouds published."""
    sent_bytes: int
    late: int
    """Clouds published more than one period after their time."""
    received: int
    """Clouds that reached the node."""
    processed: int
    """Clouds turned into detections."""
    dropped: dict[str, int]
    """Clouds not processed, by reason; those lost in transport included."""
    with_past_sweeps: int = 0
    """Recorded frames that had at least one past sweep."""
    without_past_sweeps: dict[str, int] = Field(default_factory=dict)
    """Recorded frames of the current sweep alone, by reason."""
    detections_by_class: dict[str, int]
    latencies: tuple[LatencyRecord, ...]
    node_memory_mb: tuple[float, ...]
    """Resident memory of the node [MB], once a second."""
    output_bag: str
    pictures: tuple[str, ...]
    logs: tuple[str, ...]
    status: StatusText
    checks: tuple[CheckRecord, ...]


class AccuracyRecord(Record):
    """Detections matched to ground truth."""

    max_range: float
    """Boxes at least this far from the origin of the cloud's frame [m] are left out."""
    min_points: int
    """Ground truth on fewer LiDAR points is left out, and so are detections of it."""
    matched: PrecisionRecall
    """Of the boxes that remain, at the score thresholds of the model bundle."""
    status: StatusText
    checks: tuple[CheckRecord, ...]


class ErrorRecord(Record):
    """The error that ended a command."""

    type: str
    subject: str
    problem: str
    got: str | None = None
    expected: str | None = None
    hint: str | None = None
    problems: tuple[str, ...]


class Report(Record):
    """What one command did."""

    schema_version: int = SCHEMA_VERSION
    tool_version: str
    command: str
    name: str
    created: str
    """ISO 8601, UTC."""
    seconds: float
    machine: MachineRecord
    bundle: str | None = None
    """Folder of the model bundle."""
    export: tuple[ExportRecord, ...] | None = None
    engines: tuple[EngineBuildRecord, ...] | None = None
    selftest: SelftestRecord | None = None
    verification: VerificationRecord | None = None
    evaluation: EvaluationRecord | None = None
    precision: PrecisionRecord | None = None
    inference: InferenceRecord | None = None
    replay: ReplayRecord | None = None
    accuracy: AccuracyRecord | None = None
    """None where nothing is known of what is there."""
    facts: Mapping[str, Any] | None = None
    """Result of commands that look and do not act, e.g. ``inspect``."""
    provenance: Mapping[str, Any] | None = None
    """Where the bundle comes from, as its manifest says."""
    error: ErrorRecord | None = None
    exit_code: int = ExitCode.PASSED
