"""The one result model of every command; each writer renders it and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from awml_deploy_core.evaluation import PrecisionRecall
from awml_deploy_core.evaluation.task import AccuracyResult
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.reporting.engines import EngineBuildRecord, SelftestRecord
from awml_deploy_core.reporting.evaluation_result import EvaluationRecord
from awml_deploy_core.reporting.precision_result import PrecisionRecord
from awml_deploy_core.reporting.records import CheckRecord, Record, StatusText
from awml_deploy_core.reporting.verification_result import BoxesRecord, VerificationRecord

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


class BoxChangeRecord(Record):
    """A box that is not as it was in an earlier replay."""

    sample: str
    kind: str
    """``gone``, ``new`` or ``changed``."""
    box: Mapping[str, Any]
    """Class, score, center, size, yaw, velocity: as it was, or as it is if it is new."""
    detail: str


class RegressionRecord(Record):
    """An earlier replay of the same bag beside this one."""

    baseline: str
    """File of the earlier result."""
    same_model: bool
    """Whether the bundle is the same, file by file."""
    compared: int
    """Frames of both with the same sweeps."""
    identical: int
    """Of these, frames equal bit by bit."""
    matched: int
    """Boxes that are within the limits."""
    worst: Mapping[str, float]
    """Largest difference of these boxes by property."""
    changes: tuple[BoxChangeRecord, ...]
    fates: tuple[str, ...]
    """Clouds that met another fate, though there was time for them."""
    other_input: tuple[str, ...]
    """Frames with other past sweeps, and clouds that one of the two had no time for: not compared."""


class ReplayRecord(Record):
    """A bag replayed, through the pipeline alone or into the running node."""

    source: str
    """Bag and topic."""
    mode: Literal["offline", "live"] = "live"
    """``offline``: the node's pipeline in this process; ``live``: the node, fed over DDS."""
    backend: str
    device: str
    rate_hz: float
    """At which clouds were published; 0 offline."""
    seconds: float
    """Duration of the playback."""
    sent: int
    """Clouds published, or read offline."""
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
    transport: tuple[LatencyRecord, ...] = ()
    """Live: ``transport`` to the node and from it to a recorder, ``cycle`` between records, ``jitter`` its
    change from record to record."""
    digest: str | None = None
    """SHA-256 over stamps, fates and boxes of all clouds, hexadecimal: equal if every bit of them is."""
    regression: RegressionRecord | None = None
    """None where no earlier result was given."""
    agreement: BoxesRecord | None = None
    """None where no reference was named."""
    accuracy: AccuracyResult | None = None
    """None where no ground truth was given; what is asked of it is among the checks."""
    notes: tuple[str, ...] = ()
    """What a person should know besides, e.g. transforms that were left out."""
    highest_rate_hz: float | None = None
    """Live, if it was looked for: the highest rate that was tried without a cloud lost or superseded."""
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
