"""The fewest layer groups that have to stay in FP32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, eq=False)
class Found(Generic[ResultT]):
    """The shortest prefix that does, and what it gave."""

    count: int
    result: ResultT
    complete: bool
    """Whether no shorter one was left untried because the time was over."""


def shortest_prefix(
    items: Sequence[T],
    attempt: Callable[[Sequence[T]], tuple[ResultT, bool]],
    stop: Callable[[], bool] = lambda: False,
) -> Found[ResultT] | None:
    """The fewest items, taken from the front, with which an attempt succeeds, by halving.

    It is taken for granted that with more items it succeeds too, that it fails with none, and that
    all of them would do, which is not tried.

    Args:
        items: The most helpful first.
        attempt: Gives a result, and whether it will do.
        stop: Asked before every attempt.

    Returns:
        None if fewer than all items never did, or nothing was tried.
    """
    fails, does = 0, len(items)
    best: ResultT | None = None
    while does - fails > 1 and not stop():
        middle = (fails + does) // 2
        result, succeeded = attempt(items[:middle])
        if succeeded:
            does, best = middle, result
        else:
            fails = middle
    return None if best is None else Found(does, best, does - fails <= 1)
