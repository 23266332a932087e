"""How long a study may go on beginning things."""

from __future__ import annotations

import time


class Budget:
    """Seconds from now on.

    Args:
        seconds: After these, nothing more is begun.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._start = time.monotonic()

    @property
    def spent(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() - self._start >= self._seconds

    @property
    def reason(self) -> str:
        """What is said of work that was not begun."""
        return (
            f"the budget of {self._seconds:g} s was spent; run again to go on, or raise precision.budget_s"
        )
