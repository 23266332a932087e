"""What a node knows about its frames: counted, timed, judged."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.pipeline import StageLatency
from awml_deploy_ros.budget import BudgetJudge, BudgetState, LatencyBudget, timed_items
from awml_deploy_ros.counters import CLOUDS, DropReason, FrameCounters, InputKind
from awml_deploy_ros.frame import FrameTiming, HeaderAge, ProcessedFrame, Transport, header_age
from awml_deploy_ros.health import Health, HealthLimits, HealthMonitor
from awml_deploy_ros.latency import RollingLatency
from awml_deploy_ros.node.clock_watch import ClockWatch

CYCLIC_TIME, JITTER, TRANSPORT, HEADER_AGE = "cyclic_time", "jitter", "transport", "header_age"
"""Names under which these are in the rolling statistics, beside the stages and ``end_to_end``."""


class FrameLedger:
    """Counters, rolling latency, health and budget of one configured node.

    Arrivals come from the executor's threads, frames from the worker's; anybody may judge.

    Args:
        latency_window: Frames of the rolling statistics.
        budget: What a frame may take; None limits nothing.
        ros_now_ns: The ROS clock [ns].
        simulated: Whether that clock is simulated.
        limits: Of the processing time, in force now.
        kind: What the inputs are.
    """

    def __init__(
        self,
        latency_window: int,
        budget: LatencyBudget | None,
        ros_now_ns: Callable[[], int],
        simulated: Callable[[], bool],
        limits: Callable[[], HealthLimits],
        kind: InputKind = CLOUDS,
    ) -> None:
        self.counters = FrameCounters(kind)
        self.latency = RollingLatency(latency_window)
        self.monitor = HealthMonitor(time.monotonic_ns(), self.counters.kind.noun)
        self.clock = ClockWatch()
        self.limits = limits
        self.last_age: HeaderAge | None = None
        self.last_transport: Transport | None = None
        self._budget = BudgetJudge(budget) if budget is not None else None
        self._ros_now_ns = ros_now_ns
        self._simulated = simulated
        self._last_ns: int | None = None
        self._last_cyclic_ms: float | None = None

    @property
    def budget(self) -> BudgetState | None:
        """How the latency budget is kept; None without one."""
        return None if self._budget is None else self._budget.state

    def activated(self) -> None:
        """Forget what the time while nothing was subscribed would make look late."""
        self.monitor = HealthMonitor(time.monotonic_ns(), self.counters.kind.noun)
        self._last_ns = self._last_cyclic_ms = None

    def arrived(self) -> None:
        """Note an input."""
        now_ns = time.monotonic_ns()
        self.clock.look(self._ros_now_ns(), now_ns)
        self.monitor.input_arrived(now_ns)

    def age_of(self, frame: ProcessedFrame) -> HeaderAge:
        """Age of a frame's input by the ROS clock, now."""
        stamp = frame.header.stamp
        now_ns = self._ros_now_ns()
        return header_age(
            stamp.sec * 1_000_000_000 + stamp.nanosec,
            now_ns,
            simulated=self._simulated(),
            jumped=self.clock.look(now_ns, time.monotonic_ns()),
        )

    def timed(self, frame: ProcessedFrame) -> ProcessedFrame:
        """Judge a frame of which all but the record is published; called once a frame, in order."""
        now_ns = time.monotonic_ns()
        end_to_end_ms = (now_ns - frame.arrival_ns) * 1e-6
        cyclic_ms = None if self._last_ns is None else (now_ns - self._last_ns) * 1e-6
        jitter_ms = None
        if cyclic_ms is not None and self._last_cyclic_ms is not None:
            jitter_ms = abs(cyclic_ms - self._last_cyclic_ms)
        self._last_ns, self._last_cyclic_ms = now_ns, cyclic_ms
        over_budget = ""
        if self._budget is not None:
            items = timed_items(frame.stages, end_to_end_ms, cyclic_ms)
            state = self._budget.add(now_ns, items)
            over_budget = "; ".join(
                f"{item.name} took {items[item.name]:.1f} ms, allowed {item.limit_ms:.1f} ms"
                for item in state.items
                if item.name in items and items[item.name] > item.limit_ms
            )
        return replace(frame, timing=FrameTiming(cyclic_ms, jitter_ms, over_budget))

    def processed(self, frame: ProcessedFrame) -> None:
        """Note a frame whose record is published."""
        timing = frame.timing
        self.last_age, self.last_transport = self.age_of(frame), frame.transport
        figures = {
            "end_to_end": frame.elapsed_ms(),
            CYCLIC_TIME: None if timing is None else timing.cyclic_ms,
            JITTER: None if timing is None else timing.jitter_ms,
            TRANSPORT: frame.transport.milliseconds if frame.transport.valid else None,
            HEADER_AGE: self.last_age.milliseconds if self.last_age.valid else None,
        }
        self.latency.add(
            (
                *frame.stages.stages,
                *(StageLatency(name, value) for name, value in figures.items() if value is not None),
            )
        )
        self.monitor.frame_processed(
            time.monotonic_ns(), frame.processing_ms, self.limits(), frame.degraded
        )

    def failed(self, reason: DropReason, error: AwmlDeployError) -> None:
        """Note an input that gave nothing."""
        message = f"{type(error).__name__}: {error}"
        self.monitor.frame_failed(time.monotonic_ns(), reason, message)

    def judge(self, now_ns: int) -> Health:
        """Whether the node keeps up (monotonic [ns])."""
        return self.monitor.judge(now_ns, self.limits())
