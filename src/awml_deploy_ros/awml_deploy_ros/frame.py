"""One processed cloud on its way to the outputs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import StageLatencies, StageLatency
from awml_deploy_ros.counters import NoPastSweeps

_WAITS = ("queue", "tf_wait")


@dataclass(frozen=True, eq=False)
class ProcessedFrame:
    """What one cloud gave."""

    header: Any
    """std_msgs/Header of the cloud."""
    detections: Detections
    stages: StageLatencies
    counts: Mapping[str, int]
    arrival_ns: int
    """When the cloud arrived in the node, monotonic clock [ns]."""
    num_past_sweeps: int = 0
    """Sweeps besides the current one."""
    no_past_sweeps: NoPastSweeps | None = NoPastSweeps.DISABLED
    """Why there is none; None if there is."""
    degraded: str = ""
    """What is wrong with a transform, so that a past sweep is missing."""

    def with_stage(self, name: str, milliseconds: float) -> ProcessedFrame:
        """This frame with one more stage at the end."""
        return replace(self, stages=self.stages + StageLatencies((StageLatency(name, milliseconds),)))

    @property
    def processing_ms(self) -> float:
        """Sum of all stages but the waits in the queue and for transforms [ms]."""
        return sum(stage.milliseconds for stage in self.stages.stages if stage.name not in _WAITS)

    def elapsed_ms(self) -> float:
        """Time since the cloud arrived in the node [ms]."""
        return (time.monotonic_ns() - self.arrival_ns) * 1e-6


@dataclass(frozen=True)
class HeaderAge:
    """Age of a cloud by its stamp and the ROS clock."""

    milliseconds: float
    valid: bool
    """Whether stamp and clock share a time base, so that the age means something."""


INVALID_AGE = HeaderAge(0.0, False)
_PLAUSIBLE_MS = 60_000.0


def header_age(stamp_ns: int, now_ns: int, *, simulated: bool) -> HeaderAge:
    """Age of a stamp.

    Not valid under simulated time (the clock advances in steps), without a stamp, or if it is
    negative or above a minute: then sensor and host do not share a time base.
    """
    age = (now_ns - stamp_ns) * 1e-6
    if simulated or stamp_ns == 0 or not 0.0 <= age <= _PLAUSIBLE_MS:
        return INVALID_AGE
    return HeaderAge(age, True)
