"""Rolling latency statistics of every stage."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from awml_deploy_core.pipeline import StageLatency


@dataclass(frozen=True)
class LatencySummary:
    """Statistics of one stage over the window [ms]."""

    name: str
    clock: str
    count: int
    last: float
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


class RollingLatency:
    """Latencies of the last frames, by stage; thread-safe."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._lock = threading.Lock()
        self._stages: dict[tuple[str, str], deque[float]] = {}

    def add(self, stages: Iterable[StageLatency]) -> None:
        """Add the stages of one frame."""
        with self._lock:
            for stage in stages:
                key = (stage.name, stage.clock)
                if key not in self._stages:
                    self._stages[key] = deque(maxlen=self._window)
                self._stages[key].append(stage.milliseconds)

    def summaries(self) -> tuple[LatencySummary, ...]:
        """One summary a stage, in the order in which the stages first appeared."""
        with self._lock:
            samples = {key: np.array(values) for key, values in self._stages.items()}
        return tuple(_summary(name, clock, values) for (name, clock), values in samples.items())


def _summary(name: str, clock: str, values: np.ndarray) -> LatencySummary:
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return LatencySummary(
        name,
        clock,
        len(values),
        float(values[-1]),
        float(values.mean()),
        float(p50),
        float(p95),
        float(p99),
        float(values.max()),
    )
