"""Which live frames are worth a look of the reference, and when it may have one."""

from __future__ import annotations

from enum import Enum

from awml_deploy_ros.shadow.settings import ShadowSettings


class Choice(str, Enum):
    """What becomes of a frame."""

    NOT_DUE = "not_due"
    TAKEN = "taken"
    BUSY = "skipped_busy"
    """Due, but the reference was at work."""
    SHARE = "skipped_share"
    """Due, but the reference had used up its share."""


class Sampler:
    """Every Nth frame, not more often than the rate, not more work than the share; used by one thread."""

    def __init__(self, settings: ShadowSettings) -> None:
        self._settings = settings
        self._frames = 0
        self._taken_ns: int | None = None
        self._resume_ns = 0

    def choose(self, now_ns: int, *, idle: bool) -> Choice:
        """Decide about the next frame.

        Args:
            now_ns: Monotonic clock [ns].
            idle: Whether the reference could start at once.
        """
        self._frames += 1
        settings = self._settings
        if (self._frames - 1) % settings.every_n:
            return Choice.NOT_DUE
        if self._taken_ns is not None and (now_ns - self._taken_ns) * 1e-9 < 1 / settings.max_rate_hz:
            return Choice.NOT_DUE
        if not idle:
            return Choice.BUSY
        if now_ns < self._resume_ns:
            return Choice.SHARE
        self._taken_ns = now_ns
        return Choice.TAKEN

    def used(self, start_ns: int, busy_s: float) -> None:
        """Note that the reference worked so long [s] on a frame taken at a time (monotonic [ns])."""
        self._resume_ns = start_ns + round(busy_s / self._settings.max_share * 1e9)
