"""Whether the node keeps up, judged by Autoware's two limits."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import IntEnum

from awml_deploy_ros.counters import DropReason


class Level(IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class HealthLimits:
    """When a frame is delayed, and for how long the node may be in trouble."""

    max_processing_ms: float
    max_delay_ms: float


@dataclass(frozen=True)
class Health:
    """A judgement and the reason for it."""

    level: Level
    message: str


@dataclass(frozen=True)
class Failure:
    """An input that gave no result."""

    reason: DropReason
    message: str
    time_ns: int
    """Monotonic clock [ns]."""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.message}"


class HealthMonitor:
    """Remembers the last events of an active node; thread-safe. Times are monotonic [ns].

    Args:
        now_ns: The start.
        noun: What the inputs are, singular.
    """

    def __init__(self, now_ns: int, noun: str = "cloud") -> None:
        self._noun = noun
        self._lock = threading.Lock()
        self._last_arrival_ns = now_ns
        self._last_in_time_ns = now_ns
        self._waiting_since_ns: int | None = None
        self._processing_ms: float | None = None
        self._failure: Failure | None = None
        self._degraded = ""

    def input_arrived(self, now_ns: int) -> None:
        with self._lock:
            self._last_arrival_ns = now_ns
            if self._waiting_since_ns is None:
                self._waiting_since_ns = now_ns

    def frame_processed(
        self, now_ns: int, processing_ms: float, limits: HealthLimits, degraded: str = ""
    ) -> None:
        """Note a frame; ``degraded`` says what it lacked."""
        with self._lock:
            self._degraded = degraded
            self._waiting_since_ns = None
            self._processing_ms = processing_ms
            if processing_ms <= limits.max_processing_ms:
                self._last_in_time_ns = now_ns

    def frame_failed(self, now_ns: int, reason: DropReason, message: str) -> None:
        with self._lock:
            self._waiting_since_ns = None
            self._failure = Failure(reason, message, now_ns)

    @property
    def processing_ms(self) -> float | None:
        """Processing time of the last frame [ms]."""
        return self._processing_ms

    @property
    def last_failure(self) -> Failure | None:
        """The last input that failed; None if none did."""
        return self._failure

    def judge(self, now_ns: int, limits: HealthLimits) -> Health:
        """Judge the node now.

        WARN: an input failed within the delay limit, the last frame took too long or lacked its past
        sweeps for want of a transform, or no input came for as long as the delay limit. ERROR: inputs
        come, but none was processed in time, or none gave any result, for as long as the delay limit.
        """
        with self._lock:
            silent_ms = (now_ns - self._last_arrival_ns) * 1e-6
            since_ns = self._waiting_since_ns
            waiting_ms = 0.0 if since_ns is None else (now_ns - since_ns) * 1e-6
            late_ms = (now_ns - self._last_in_time_ns) * 1e-6
            processing_ms, failure, degraded = self._processing_ms, self._failure, self._degraded
        if waiting_ms > limits.max_delay_ms:
            text = f"no result for {waiting_ms / 1000:.1f} s, though {self._noun}s came"
            return Health(Level.ERROR, text)
        if silent_ms > limits.max_delay_ms:
            return Health(Level.WARN, f"no {self._noun} for {silent_ms / 1000:.1f} s")
        trouble = ""
        if failure is not None and (now_ns - failure.time_ns) * 1e-6 <= limits.max_delay_ms:
            trouble = str(failure)
        elif processing_ms is not None and processing_ms > limits.max_processing_ms:
            trouble = f"processing took {processing_ms:.1f} ms, allowed {limits.max_processing_ms:.1f} ms"
        elif degraded:
            trouble = f"without past sweeps: {degraded}"
        if not trouble:
            waiting = f"waiting for the first {self._noun}"
            return Health(Level.OK, waiting if processing_ms is None else "running")
        if late_ms > limits.max_delay_ms:
            return Health(Level.ERROR, f"no frame in time for {late_ms / 1000:.1f} s; {trouble}")
        return Health(Level.WARN, trouble)
