"""Records of a verification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from awml_deploy_core.reporting.records import CheckRecord, Record, StatusText


class TensorRecord(Record):
    """The worst a tensor differed over all samples of a scenario."""

    component: str
    tensor: str
    level: str
    """``component``: this component alone, fed with the reference's inputs; ``chain``: both pipelines
    from the same cloud."""
    status: StatusText
    checks: int
    max_abs: float | None = None
    mean_abs: float | None = None
    relative: float | None = None
    """Largest absolute difference over the reference's scale."""
    relative_p999: float | None = None
    """99.9th percentile of the absolute differences, likewise."""
    cosine: float | None = None
    """The least of all samples."""
    non_finite: int = 0
    """NaN and infinite values of either side, over all samples."""


class BoxRecord(Record):
    """A box without a partner that agrees, over one scenario."""

    sample: str
    side: str
    """``reference`` or ``test``: who has it."""
    borderline: bool
    """Whether rounding decided, so that it is no failure."""
    box: Mapping[str, Any]
    """Class, score, center, size, yaw, velocity."""
    nearest: Mapping[str, Any] | None = None
    """The nearest candidate on the other side, with ``distance`` [m] and ``iou`` from above."""
    why: str
    """Why that is not the partner."""
    decision: str | None = None
    """What became of the box on the other side, where the pipelines can say."""


class BoxesRecord(Record):
    """Matched boxes over all samples of a scenario."""

    matched: int
    unmatched: int
    """Of either side, those that are borderline left out."""
    borderline: int
    coverage: float
    """Share of the boxes of the side that has more that are matched, over all samples."""
    worst: Mapping[str, float]
    """Largest difference of matched boxes: position [m], size [m], yaw modulo half a turn [rad], heading
    modulo a full turn [rad], velocity [m/s], score."""
    evidence: tuple[BoxRecord, ...] = ()
    """Every box that is not matched."""


class BisectionRecord(Record):
    """Where a component that failed alone first differs inside."""

    component: str
    against: str
    tensors_compared: int
    message: str
    node: str | None = None
    op_type: str | None = None
    output: str | None = None
    """The first diverging tensor."""
    statistics: Mapping[str, Any] = Field(default_factory=dict)
    """Of that tensor."""
    changed_weights: tuple[str, ...] = ()
    changed_nodes: tuple[str, ...] = ()
    """How operators differ, one clause each."""


class ComparedFrameRecord(Record):
    """A frame whose decoded outputs agree less than those of other frames, drawn."""

    sample: str
    status: StatusText
    summary: str
    picture: str
    """Path of a PNG file."""


class ScenarioRecord(Record):
    """One scenario of a verification."""

    name: str
    reference: str
    test: str
    required: bool
    precision: str | None = None
    """Whose tolerances applied."""
    status: StatusText
    seconds: float
    level_seconds: Mapping[str, float] = Field(default_factory=dict)
    """Mean seconds a sample and level; ``inference`` is that of both pipelines, ``bisect`` the sum."""
    counts: dict[str, int]
    """Number of checks by status."""
    boxes_matched: int
    boxes_unmatched: int
    """Boxes of either side without a partner, over all samples, borderline ones left out."""
    boxes: BoxesRecord | None = None
    """None if no boxes were compared."""
    first_divergence: str | None = None
    """Name of the earliest failed check."""
    bisections: tuple[BisectionRecord, ...] = ()
    tensors: tuple[TensorRecord, ...]
    frames: tuple[ComparedFrameRecord, ...] = ()
    """The worst first; empty unless pictures were asked for."""
    checks: tuple[CheckRecord, ...]


class VerificationRecord(Record):
    """A whole verification."""

    status: StatusText
    summary: str
    samples: tuple[str, ...]
    """Sources the samples came from."""
    num_samples: int
    checks: tuple[CheckRecord, ...] = ()
    """Those of no scenario: of the bundle, and of boxes at known places."""
    probe_seconds: float = 0.0
    scenarios: tuple[ScenarioRecord, ...]
