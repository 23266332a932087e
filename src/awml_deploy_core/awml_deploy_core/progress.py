"""How long work tells its caller how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called after every unit of a task."""

    def __call__(self, task: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of ``task`` are finished."""
        ...


def no_progress(task: str, done: int, total: int) -> None:
    """Tell nobody."""
