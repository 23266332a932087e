"""What became of every cloud, counted by reason."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
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
    """The middleware reported that it never reached the node."""


@dataclass(frozen=True)
class CounterSnapshot:
    """Counters at one moment."""

    received: int
    processed: int
    dropped: Mapping[DropReason, int]
    """Every reason, zeros included."""


class FrameCounters:
    """Thread-safe counters since the node was configured."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._processed = 0
        self._dropped: Counter[DropReason] = Counter()

    def count_received(self) -> None:
        with self._lock:
            self._received += 1

    def count_processed(self) -> None:
        with self._lock:
            self._processed += 1

    def count_dropped(self, reason: DropReason, number: int = 1) -> None:
        with self._lock:
            self._dropped[reason] += number

    def snapshot(self) -> CounterSnapshot:
        with self._lock:
            return CounterSnapshot(
                self._received, self._processed, {reason: self._dropped[reason] for reason in DropReason}
            )
