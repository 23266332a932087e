"""What each level of a verification costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

INFERENCE = "inference"
"""Both pipelines over the sample; chain and boxes share it."""


class LevelClock:
    """Adds up the seconds of every level over the samples of a scenario."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, level: str) -> Iterator[None]:
        """Count what runs inside to ``level``."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[level] = self._seconds.get(level, 0.0) + time.monotonic() - start

    @property
    def seconds(self) -> Mapping[str, float]:
        """Sum by level, in the order of their first use."""
        return dict(self._seconds)
