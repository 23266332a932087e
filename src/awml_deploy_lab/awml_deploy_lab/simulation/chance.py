"""Quick draws of single values: numpy's own ``choice`` takes tens of microseconds each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(rng: np.random.Generator, values: Sequence[T], shares: Sequence[float] | None = None) -> T:
    """One of the values, all alike or with probability in proportion to ``shares``."""
    if shares is None:
        return values[int(rng.random() * len(values))]
    sums = list(accumulate(shares))
    drawn = rng.random() * sums[-1]
    return next(value for value, limit in zip(values, sums, strict=True) if drawn < limit)


def sign(rng: np.random.Generator) -> float:
    """1 or -1."""
    return 1.0 if rng.random() < 0.5 else -1.0
