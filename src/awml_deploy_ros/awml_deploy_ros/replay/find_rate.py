"""The highest rate at which a node takes every cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from awml_deploy_core.verification import CheckResult, Status

NAME = "highest rate"
_RESOLUTION = 1.15
"""Two rates nearer to each other than this factor are not told apart."""
_HIGHEST_HZ = 200.0
_LOWEST_HZ = 0.5


@dataclass(frozen=True)
class RateSearch:
    """What was tried."""

    highest_hz: float | None
    """None if even the lowest rate lost a cloud."""
    tried: tuple[tuple[float, bool], ...]
    """Rates [Hz] in the order in which they were tried, and whether nothing was lost."""

    @property
    def check(self) -> CheckResult:
        """Passed if a rate was found."""
        tries = ", ".join(f"{rate:.1f} Hz {'kept' if kept else 'lost'}" for rate, kept in self.tried)
        status = Status.PASSED if self.highest_hz is not None else Status.FAILED
        found = "none" if self.highest_hz is None else f"{self.highest_hz:.1f} Hz"
        details = {"tried": [{"rate_hz": rate, "kept": kept} for rate, kept in self.tried]}
        return CheckResult(NAME, status, f"{found} without loss; tried: {tries}", details=details)


def find_rate(lossless: Callable[[float], bool], start_hz: float) -> RateSearch:
    """Double or halve the rate until it is bracketed, then bisect the bracket by its geometric mean.

    Args:
        lossless: Plays the bag at a rate [Hz] and says whether every cloud was processed.
        start_hz: Rate that is tried first.
    """
    tried: list[tuple[float, bool]] = []

    def kept(rate: float) -> bool:
        tried.append((rate, lossless(rate)))
        return tried[-1][1]

    low: float | None = None
    high: float | None = None
    rate = start_hz
    while low is None or high is None:
        if kept(rate):
            low = rate
            if rate >= _HIGHEST_HZ:
                return RateSearch(low, tuple(tried))
            rate = min(2 * rate, _HIGHEST_HZ)
        else:
            high = rate
            if rate <= _LOWEST_HZ:
                return RateSearch(None, tuple(tried))
            rate = max(rate / 2, _LOWEST_HZ)
    while high / low > _RESOLUTION:
        middle = (low * high) ** 0.5
        if kept(middle):
            low = middle
        else:
            high = middle
    return RateSearch(low, tuple(tried))
