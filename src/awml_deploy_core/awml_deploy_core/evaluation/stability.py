"""How well a percentile of a sample is known: its confidence interval from order statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PercentileInterval:
    """A percentile with its confidence interval."""

    value: float
    low: float | None
    """Lower end; None if the sample is too small to give one."""
    high: float | None
    """Upper end; None if the sample is too small to give one."""

    def half_width(self) -> float | None:
        """Distance of the farther end from the value as a share of it; None without both ends."""
        if self.low is None or self.high is None or self.value <= 0:
            return None
        return max(self.high - self.value, self.value - self.low) / self.value


def percentile_interval(
    values: npt.NDArray[Any], percentile: float, confidence: float
) -> PercentileInterval:
    """The percentile and an interval that covers the true one with at least the given confidence.

    Distribution-free: the number of values below the true percentile is binomial, so two order
    statistics bound it. Values are taken as independent; slow drifts of a machine make the interval
    too narrow. Source: Hahn and Meeker, Statistical Intervals, section 5.2.

    Args:
        values: float [N], N > 0.
        percentile: More than 0, less than 100.
        confidence: More than 0, less than 1.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    count, share = len(ordered), percentile / 100.0
    below = _binomial_distribution(count, share)
    tail = (1.0 - confidence) / 2.0
    # Positions from 1: P(low order statistic above the percentile) and P(high one below it) <= tail.
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1.0 - tail, side="left")) + 1
    return PercentileInterval(
        float(np.percentile(ordered, percentile)),
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= count else None,
    )


def frames_needed(percentile: float, confidence: float) -> int:
    """Least number of values with which :func:`percentile_interval` has both ends."""
    share = percentile / 100.0
    tail = (1.0 - confidence) / 2.0
    return max(math.ceil(math.log(tail) / math.log(edge)) for edge in (share, 1.0 - share))


def _binomial_distribution(count: int, share: float) -> npt.NDArray[np.float64]:
    """float64 [count + 1]: P(at most k of ``count`` values lie below)."""
    k = np.arange(count + 1)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    log_choices = log_factorials[count] - log_factorials[k] - log_factorials[count - k]
    log_mass = log_choices + k * math.log(share) + (count - k) * math.log1p(-share)
    cumulated: npt.NDArray[np.float64] = np.cumsum(np.exp(log_mass))
    return cumulated
