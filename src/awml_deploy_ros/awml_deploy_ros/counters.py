"""What became of every cloud, counted by reason."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class DropReason(str, Enum):
    """Why a cloud gave no detections."""

    SUPERSEDED = "superseded"
    """A newer cloud arrived before this one was looked at."""
    MALFORMED = "malformed"
    """The cloud contradicts itself or the field mapping."""
    INFERENCE_ERROR = "inference_error"
    """The pipeline refused or failed."""
    DEACTIVATED = "deactivated"
    """The node was deactivated while the cloud waited."""
    LOST_IN_TRANSPORT = "lost_in_transport"
    """It never reached the node: lost on the way, or replaced by a newer one in the middleware's queue."""
    MISSING_TF = "missing_tf"
    """A transform for its past sweeps is not known, and such clouds are to be dropped."""
    LATE_TF = "late_tf"
    """A transform for its past sweeps did not arrive in time, and such clouds are to be dropped."""


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
class CounterSnapshot:
    """Counters at one moment."""

    received: int
    processed: int
    dropped: Mapping[DropReason, int]
    """Every reason, zeros included."""
    with_past_sweeps: int = 0
    """Of those processed."""
    without_past_sweeps: Mapping[NoPastSweeps, int] = field(default_factory=dict)
    """Of those processed; every reason, zeros included."""

    def __str__(self) -> str:
        dropped = ", ".join(f"{count} {reason.value}" for reason, count in self.dropped.items() if count)
        text = f"{self.received} received, {self.processed} processed"
        return f"{text}, dropped: {dropped}" if dropped else text


class FrameCounters:
    """Thread-safe counters since the node was configured."""

    def __init__(self) -> None:
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
                {reason: self._dropped[reason] for reason in DropReason},
                self._processed - self._without_past.total(),
                {reason: self._without_past[reason] for reason in NoPastSweeps},
            )
