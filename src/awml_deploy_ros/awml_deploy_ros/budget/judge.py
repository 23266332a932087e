"""Whether frames keep a latency budget, by the two steps of Autoware's nodes.

A frame above a limit is late: WARN. Once every frame has been late for longer than the limit's delay it
is ERROR. One frame in time ends it. Times are those of the frames, not of whoever asks, so a
recording is judged as the node judged it; that no frame comes at all is another matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from awml_deploy_core.pipeline import StageLatencies
from awml_deploy_ros.budget.schema import CYCLIC_TIME, END_TO_END, PROCESSING_TIME, LatencyBudget, Limit
from awml_deploy_ros.health import Level

WAITS = ("queue", "pair_wait", "tf_wait")
"""Stages in which nothing is processed."""


@dataclass(frozen=True)
class ItemState:
    """One stage or total against its limit."""

    name: str
    limit_ms: float
    delay_ms: float
    """Late for longer than this is ERROR."""
    frames: int = 0
    """In which it was measured."""
    late: int = 0
    """Of those, above the limit."""
    last_ms: float = 0.0
    worst_ms: float = 0.0
    late_for_ms: float = 0.0
    """From the last frame in time, or the first frame, to the last one; 0 if that was in time."""
    longest_late_ms: float = 0.0
    level: Level = Level.OK
    """Now."""
    worst_level: Level = Level.OK

    def message(self) -> str:
        """What is wrong now; empty if nothing is."""
        if self.level is Level.OK:
            return ""
        text = f"{self.name} took {self.last_ms:.1f} ms, allowed {self.limit_ms:.1f} ms"
        return text if self.level is Level.WARN else f"{text}, for {self.late_for_ms / 1000:.1f} s"


@dataclass(frozen=True)
class BudgetState:
    """All limits of a budget."""

    items: tuple[ItemState, ...] = ()

    @property
    def level(self) -> Level:
        """Now."""
        return max((item.level for item in self.items), default=Level.OK)

    @property
    def worst_level(self) -> Level:
        """Ever."""
        return max((item.worst_level for item in self.items), default=Level.OK)

    @property
    def not_measured(self) -> tuple[str, ...]:
        """What the budget limits and no frame had: nothing was proven about it."""
        return tuple(item.name for item in self.items if not item.frames)

    def message(self) -> str:
        """What is wrong now, the worst first; empty if nothing is."""
        wrong = sorted((item for item in self.items if item.level), key=lambda item: -item.level)
        return "; ".join(item.message() for item in wrong)


def timed_items(
    stages: StageLatencies, end_to_end_ms: float, cyclic_ms: float | None = None
) -> dict[str, float]:
    """What a budget can limit in one frame [ms] by name; stages of one name are summed."""
    items: dict[str, float] = {}
    for stage in stages.stages:
        items[stage.name] = items.get(stage.name, 0.0) + stage.milliseconds
    # Outputs are published after the node has judged its processing time.
    processing = sum(ms for name, ms in items.items() if name not in (*WAITS, "publish"))
    items |= {END_TO_END: end_to_end_ms, PROCESSING_TIME: processing}
    return items if cyclic_ms is None else {**items, CYCLIC_TIME: cyclic_ms}


class BudgetJudge:
    """Judges frame after frame; used by one thread. Its state is immutable and may be read by any.

    Args:
        budget: The limits.
    """

    def __init__(self, budget: LatencyBudget) -> None:
        self._limits: Mapping[str, Limit] = budget.limits()
        self._in_time_ns: dict[str, int] = {}
        self.state = BudgetState(
            tuple(
                ItemState(name, limit.max_allowed_processing_time_ms, _delay_of(limit))
                for name, limit in self._limits.items()
            )
        )

    def add(self, time_ns: int, items: Mapping[str, float]) -> BudgetState:
        """Judge a frame.

        Args:
            time_ns: When its result was there, on any clock that never goes back [ns].
            items: As :func:`timed_items` gives them; what has no limit is left alone.
        """
        states = tuple(
            self._judged(state, time_ns, items[state.name]) if state.name in items else state
            for state in self.state.items
        )
        self.state = BudgetState(states)
        return self.state

    def _judged(self, state: ItemState, time_ns: int, milliseconds: float) -> ItemState:
        # NaN is not in time.
        in_time = milliseconds <= state.limit_ms
        if in_time or state.name not in self._in_time_ns:
            self._in_time_ns[state.name] = time_ns
        late_for_ms = (time_ns - self._in_time_ns[state.name]) * 1e-6
        level = Level.OK
        if not in_time:
            level = Level.ERROR if late_for_ms > state.delay_ms else Level.WARN
        return ItemState(
            state.name,
            state.limit_ms,
            state.delay_ms,
            state.frames + 1,
            state.late + (not in_time),
            milliseconds,
            max(state.worst_ms, milliseconds),
            late_for_ms,
            max(state.longest_late_ms, late_for_ms),
            level,
            max(state.worst_level, level),
        )


def judge_frames(budget: LatencyBudget, frames: Iterable[tuple[int, StageLatencies, float]]) -> BudgetState:
    """Judge a whole sequence of frames.

    Args:
        budget: The limits.
        frames: Of each, in order, when its result was there [ns], its stages, and its end-to-end
            latency [ms]. The cyclic time is that between the results.
    """
    judge = BudgetJudge(budget)
    previous_ns: int | None = None
    for time_ns, stages, end_to_end_ms in frames:
        cyclic_ms = None if previous_ns is None else (time_ns - previous_ns) * 1e-6
        judge.add(time_ns, timed_items(stages, end_to_end_ms, cyclic_ms))
        previous_ns = time_ns
    return judge.state


def _delay_of(limit: Limit) -> float:
    assert limit.max_acceptable_consecutive_delay_ms is not None
    return limit.max_acceptable_consecutive_delay_ms
