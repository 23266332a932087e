"""Notices that a clock was set, because stamps from before and after do not fit each other."""

from __future__ import annotations

import threading

JUMP_NS = 100_000_000
"""More than this between two looks is a jump [ns]; a clock that is slewed moves 0.5 ms a second."""
_UNSETTLED_NS = 1_000_000_000
"""For so long after a jump messages may have stamps from before."""


class ClockWatch:
    """Compares a clock with the monotonic one; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset_ns: int | None = None
        self._jumped_ns: int | None = None
        self._jumps = 0

    @property
    def jumps(self) -> int:
        """How often the clock was set since it is watched."""
        return self._jumps

    def look(self, clock_ns: int, monotonic_ns: int) -> bool:
        """Whether the clock was set within the last second.

        Args:
            clock_ns: What it shows [ns].
            monotonic_ns: What the monotonic clock shows at the same time [ns].
        """
        offset = clock_ns - monotonic_ns
        with self._lock:
            if self._offset_ns is not None and abs(offset - self._offset_ns) > JUMP_NS:
                self._jumps += 1
                self._jumped_ns = monotonic_ns
            self._offset_ns = offset
            return self._jumped_ns is not None and monotonic_ns - self._jumped_ns < _UNSETTLED_NS
