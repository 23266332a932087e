"""Latency of the stages of one frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Clock = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class StageLatency:
    """One stage: its name, the clock that measured it and its duration."""

    name: str
    milliseconds: float
    clock: Clock = "cpu"
    """``cpu``: monotonic host clock; ``cuda``: CUDA events."""


@dataclass(frozen=True)
class StageLatencies:
    """Stages of one frame in the order they ran."""

    stages: tuple[StageLatency, ...] = ()

    @property
    def total_ms(self) -> float:
        """Sum of the stages [ms]."""
        return sum(stage.milliseconds for stage in self.stages)

    def as_dict(self) -> dict[str, float]:
        """Milliseconds by stage name."""
        return {stage.name: stage.milliseconds for stage in self.stages}

    def __add__(self, other: StageLatencies) -> StageLatencies:
        return StageLatencies(self.stages + other.stages)


class StageClock:
    """Collects the stages of one frame; made fresh for every frame, never shared."""

    def __init__(self) -> None:
        self._stages: list[StageLatency] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the enclosed block with the monotonic host clock."""
        start = time.perf_counter_ns()
        try:
            yield
        finally:
            self.add(name, (time.perf_counter_ns() - start) * 1e-6)

    def add(self, name: str, milliseconds: float, clock: Clock = "cpu") -> None:
        """Record a stage measured elsewhere."""
        self._stages.append(StageLatency(name, milliseconds, clock))

    def result(self) -> StageLatencies:
        return StageLatencies(tuple(self._stages))
