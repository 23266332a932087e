"""What became of every input, counted by reason."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class DropReason(str, Enum):
    """Why an input gave no result."""

    SUPERSEDED = "superseded"
    """A newer input arrived before this one was looked at."""
    MALFORMED = "malformed"
    """The input contradicts itself or the parameters."""
    INFERENCE_ERROR = "inference_error"
    """The pipeline refused or failed."""
    DEACTIVATED = "deactivated"
    """The node was deactivated while the input waited."""
    LOST_IN_TRANSPORT = "lost_in_transport"
    """It never reached the node: lost on the way, or replaced by a newer one in the middleware's queue."""
    MISSING_TF = "missing_tf"
    """A transform that it needs is not known."""
    LATE_TF = "late_tf"
    """A transform that it needs did not arrive in time."""
    UNPAIRED = "unpaired"
    """What another sensor should have seen at the same time is missing."""


class NoPastSweeps(str, Enum):
    """Why a frame has no past sweep."""

    DISABLED = "disabled"
    """None are wanted."""
    FIRST_FRAME = "first_frame"
    """No cloud was processed before this one."""
    MISSING_TF = "missing_tf"
    """A transform is not known at the exact time, and waiting would not help."""
    LATE_TF = "late_tf"
    """A transform did not arrive in time."""
    TIME_JUMPED_BACK = "time_jumped_back"
    """The cloud is older than the one before it, so all past sweeps were forgotten."""
    PAST_TOO_OLD = "past_too_old"
    """The last cloud processed is older than allowed."""
    OTHER_FRAME_ID = "other_frame_id"
    """The past clouds are given in another frame."""
    SAME_STAMP = "same_stamp"
    """The cloud is as old as the one before it."""


@dataclass(frozen=True)
class InputKind:
    """What a node counts, and what can become of it."""

    noun: str
    """Singular."""
    reasons: tuple[DropReason, ...]
    """Why one may be dropped."""
    past_sweeps: bool = False
    """Whether past ones are added."""


_ANY = (
    DropReason.SUPERSEDED,
    DropReason.MALFORMED,
    DropReason.INFERENCE_ERROR,
    DropReason.DEACTIVATED,
    DropReason.LOST_IN_TRANSPORT,
)
CLOUDS = InputKind("cloud", (*_ANY, DropReason.MISSING_TF, DropReason.LATE_TF), past_sweeps=True)
IMAGES = InputKind("image", _ANY)
CLOUDS_WITH_IMAGES = InputKind(
    "cloud", (*_ANY, DropReason.UNPAIRED, DropReason.MISSING_TF, DropReason.LATE_TF)
)


@dataclass(frozen=True)
class CounterSnapshot:
    """Counters at one moment."""

    received: int
    processed: int
    dropped: Mapping[DropReason, int]
    """Every reason of the kind of input, zeros included."""
    with_past_sweeps: int = 0
    """Of those processed."""
    without_past_sweeps: Mapping[NoPastSweeps, int] = field(default_factory=dict)
    """Of those processed; every reason, zeros included."""

    def __str__(self) -> str:
        dropped = ", ".join(f"{count} {reason.value}" for reason, count in self.dropped.items() if count)
        text = f"{self.received} received, {self.processed} processed"
        return f"{text}, dropped: {dropped}" if dropped else text


class FrameCounters:
    """Thread-safe counters since the node was configured.

    Args:
        kind: What is counted.
    """

    def __init__(self, kind: InputKind = CLOUDS) -> None:
        self.kind = kind
        self._lock = threading.Lock()
        self._received = 0
        self._processed = 0
        self._dropped: Counter[DropReason] = Counter()
        self._without_past: Counter[NoPastSweeps] = Counter()

    def count_received(self) -> None:
        with self._lock:
            self._received += 1

    def count_processed(self, no_past_sweeps: NoPastSweeps | None = NoPastSweeps.DISABLED) -> None:
        """Count a frame; None says that it had past sweeps."""
        with self._lock:
            self._processed += 1
            if no_past_sweeps is not None:
                self._without_past[no_past_sweeps] += 1

    def count_dropped(self, reason: DropReason, number: int = 1) -> None:
        with self._lock:
            self._dropped[reason] += number

    def snapshot(self) -> CounterSnapshot:
        with self._lock:
            return CounterSnapshot(
                self._received,
                self._processed,
                {reason: self._dropped[reason] for reason in self.kind.reasons},
                self._processed - self._without_past.total(),
                {reason: self._without_past[reason] for reason in NoPastSweeps if self.kind.past_sweeps},
            )
