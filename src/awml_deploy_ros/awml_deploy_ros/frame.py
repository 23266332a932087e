"""One processed input on its way to the outputs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from awml_deploy_core.pipeline import StageLatencies, StageLatency
from awml_deploy_ros.budget import WAITS
from awml_deploy_ros.counters import NoPastSweeps


@dataclass(frozen=True)
class FrameTiming:
    """How a frame lies among the others, and whether it kept the latency budget."""

    cyclic_ms: float | None = None
    """Since the record before; None for the first."""
    jitter_ms: float | None = None
    """Absolute change of the cyclic time; None for the first two."""
    over_budget: str = ""
    """What took longer than allowed; empty if nothing did."""


@dataclass(frozen=True)
class Transport:
    """From the publication of a message to its arrival in the node."""

    milliseconds: float
    valid: bool
    """Whether publisher and subscriber share a time base, so that it means something."""


@dataclass(frozen=True, eq=False)
class ProcessedFrame:
    """What one input gave."""

    header: Any
    """std_msgs/Header of the input."""
    output: Any
    """Of the pipeline: Detections, Detections2D or a Classification."""
    stages: StageLatencies
    counts: Mapping[str, int]
    arrival_ns: int
    """When the input arrived in the node, monotonic clock [ns]."""
    num_past_sweeps: int = 0
    """Sweeps besides the current one."""
    no_past_sweeps: NoPastSweeps | None = NoPastSweeps.DISABLED
    """Why there is none; None if there is."""
    degraded: str = ""
    """What is wrong with a transform, so that a past sweep is missing."""
    timing: FrameTiming | None = None
    """Added once the other outputs are published."""
    sample: Any = None
    """What the pipeline was given."""
    transport: Transport = field(default_factory=lambda: NO_TRANSPORT)

    def with_stage(self, name: str, milliseconds: float) -> ProcessedFrame:
        """This frame with one more stage at the end."""
        return replace(self, stages=self.stages + StageLatencies((StageLatency(name, milliseconds),)))

    @property
    def processing_ms(self) -> float:
        """Sum of all stages but the waits in the queue and for transforms [ms]."""
        return sum(stage.milliseconds for stage in self.stages.stages if stage.name not in WAITS)

    def elapsed_ms(self) -> float:
        """Time since the input arrived in the node [ms]."""
        return (time.monotonic_ns() - self.arrival_ns) * 1e-6


@dataclass(frozen=True)
class HeaderAge:
    """Age of an input by its stamp and the ROS clock."""

    milliseconds: float
    valid: bool
    """Whether stamp and clock share a time base, so that the age means something."""
    problem: str = ""
    """Why it means nothing."""


_PLAUSIBLE_MS = 60_000.0
NO_TRANSPORT = Transport(0.0, False)


def header_age(stamp_ns: int, now_ns: int, *, simulated: bool, jumped: bool = False) -> HeaderAge:
    """Age of a stamp.

    Args:
        stamp_ns: Of the message [ns].
        now_ns: By the ROS clock [ns].
        simulated: Whether the clock is simulated: it then advances in steps.
        jumped: Whether the clock was set a moment ago, so that the stamp may be from before.

    Returns:
        Not valid in these cases, without a stamp, or if the age is negative or above a minute: then
        sensor and host do not share a time base.
    """
    age = (now_ns - stamp_ns) * 1e-6
    if simulated:
        problem = "simulated time"
    elif stamp_ns == 0:
        problem = "no stamp"
    elif jumped:
        problem = "the clock jumped"
    elif age < 0:
        problem = "the stamp is in the future"
    elif age > _PLAUSIBLE_MS:
        problem = "more than a minute: another time base"
    else:
        return HeaderAge(age, True)
    return HeaderAge(0.0, False, problem)


def transport(source_ns: int, now_ns: int) -> Transport:
    """Time since a message was published, by the system clocks of both sides [ns].

    Not valid without a time of publication, or if it is negative or above a minute.
    """
    milliseconds = (now_ns - source_ns) * 1e-6
    valid = source_ns > 0 and 0.0 <= milliseconds <= _PLAUSIBLE_MS
    return Transport(milliseconds, True) if valid else NO_TRANSPORT
