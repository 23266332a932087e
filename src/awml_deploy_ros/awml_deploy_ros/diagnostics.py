"""The node's state as diagnostic_msgs/DiagnosticArray."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from awml_deploy_ros.budget import BudgetState
from awml_deploy_ros.health import Health, Level
from awml_deploy_ros.latency import LatencySummary
from awml_deploy_ros.model import ModelIdentity
from awml_deploy_ros.node.ledger import FrameLedger
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.topics import DIAGNOSTICS

PROCESSING = "processing"
"""The node's first status."""

_PERIOD_NS = 1_000_000_000


class DiagnosticsPublisher:
    """Judges a node at an interval; publishes when the level changes and every second.

    It has a thread of its own: a transition may take its time, and the ROS clock may be simulated and stand
    still.

    Args:
        node: The node that is judged.
        interval_s: Time between two judgements [s].
        judge: Gives the node's reports at a monotonic time [ns].
        fatal: Where unexpected exceptions go.
    """

    def __init__(
        self,
        node: Node,
        interval_s: float,
        judge: Callable[[int], Sequence[StatusReport]],
        fatal: FatalErrors,
    ) -> None:
        self._node = node
        self._judge = judge
        self._last_level: Level | None = None
        self._last_published_ns = 0
        self._publisher = node.create_publisher(DiagnosticArray, DIAGNOSTICS.name, 10)
        self._fatal = fatal
        self._interval_s = interval_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="diagnostics")
        self._thread.start()

    def close(self) -> None:
        """End the thread and destroy the publisher. Calling it twice is allowed."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._thread.join()
        self._node.destroy_publisher(self._publisher)

    def _run(self) -> None:
        with self._fatal:
            while not self._closed.wait(self._interval_s):
                self._tick()

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        reports = self._judge(now_ns)
        level = max(report.health.level for report in reports)
        if level == self._last_level and now_ns - self._last_published_ns < _PERIOD_NS:
            return
        self._last_level, self._last_published_ns = level, now_ns
        name = self._node.get_fully_qualified_name()
        hardware = reports[0].values.get("device", "")
        statuses = [to_status(name, report, hardware) for report in reports]
        self._publisher.publish(to_diagnostics(self._node.get_clock().now().to_msg(), statuses))


def to_diagnostics(stamp: Any, statuses: Iterable[Any]) -> Any:
    """DiagnosticArray of statuses; ``stamp`` is a builtin_interfaces/Time."""
    message = DiagnosticArray(status=list(statuses))
    message.header.stamp = stamp
    return message


@dataclass(frozen=True)
class StatusReport:
    """One DiagnosticStatus before it is a message."""

    part: str
    """What it is about; its name is ``<node>: <part>``."""
    health: Health
    values: Mapping[str, str]


def modelless_report(state: str, health: Health) -> StatusReport:
    """Of a node without a model."""
    return StatusReport(PROCESSING, health, {"state": state})


def processing_report(
    state: str, health: Health, ledger: FrameLedger, identity: ModelIdentity, now_ns: int, listeners: int
) -> StatusReport:
    """The judgement, counters and the identity of the model.

    Its keys are those of :func:`~awml_deploy_ros.diagnostic_keys.processing_keys`.
    """
    kind = ledger.counters.kind
    monitor, counters = ledger.monitor, ledger.counters.snapshot()
    processing_ms, failure = monitor.processing_ms, monitor.last_failure
    age, transport = ledger.last_age, ledger.last_transport
    values = {
        "state": state,
        "processing_time_ms": "" if processing_ms is None else f"{processing_ms:.3f}",
        "header_age_ms": f"{age.milliseconds:.3f}" if age is not None and age.valid else "",
        "header_age_problem": age.problem if age is not None else "",
        "transport_ms": f"{transport.milliseconds:.3f}"
        if transport is not None and transport.valid
        else "",
        "clock_jumps": str(ledger.clock.jumps),
        "received": str(counters.received),
        "processed": str(counters.processed),
        **{f"dropped.{reason.value}": str(count) for reason, count in counters.dropped.items()},
        **({"with_past_sweeps": str(counters.with_past_sweeps)} if kind.past_sweeps else {}),
        **{
            f"without_past_sweeps.{reason.value}": str(count)
            for reason, count in counters.without_past_sweeps.items()
        },
        "last_error": "" if failure is None else str(failure),
        "last_error_age_s": "" if failure is None else f"{(now_ns - failure.time_ns) * 1e-9:.1f}",
        "listeners": str(listeners),
        "model": identity.model_name,
        "bundle_hash": identity.bundle_hash,
        "backend": identity.backend,
        "device": identity.device,
    }
    return StatusReport(PROCESSING, health, values)


def latency_report(health: Health, summaries: Iterable[LatencySummary]) -> StatusReport:
    """The percentiles of every stage [ms]."""
    values = {
        f"{summary.name}.{statistic}_ms": f"{getattr(summary, statistic):.3f}"
        for summary in summaries
        for statistic in ("p50", "p95", "p99", "max")
    }
    return StatusReport("latency", health, values)


def budget_report(state: BudgetState, active: bool) -> StatusReport:
    """What keeps its budget and what does not; an inactive node is not late."""
    figures = ("limit_ms", "last_ms", "worst_ms", "late_for_ms")
    values: dict[str, str] = {}
    for item in state.items:
        values |= {f"{item.name}.{figure}": f"{getattr(item, figure):.1f}" for figure in figures}
        values[f"{item.name}.late"] = str(item.late)
    health = (
        Health(state.level, state.message() or "within budget") if active else Health(Level.OK, "inactive")
    )
    return StatusReport("latency budget", health, values)


def model_reports(
    health: Health,
    ledger: FrameLedger,
    identity: ModelIdentity,
    now_ns: int,
    *,
    active: bool,
    listeners: int,
) -> list[StatusReport]:
    """All reports of a configured node about its frames; ``listeners`` are those of its record."""
    state = "active" if active else "inactive"
    reports = [
        processing_report(state, health, ledger, identity, now_ns, listeners),
        latency_report(health, ledger.latency.summaries()),
    ]
    return reports if ledger.budget is None else [*reports, budget_report(ledger.budget, active)]


def processing_name(node_name: str) -> str:
    """Name of a node's first status: without the leading slash, as diagnostic_updater has it."""
    return status_name(node_name, PROCESSING)


def status_name(node_name: str, part: str) -> str:
    """Name of a node's status, as diagnostic_updater has it."""
    return f"{node_name.lstrip('/')}: {part}"


def to_status(node_name: str, report: StatusReport, hardware_id: str) -> Any:
    """DiagnosticStatus of a report."""
    return DiagnosticStatus(
        # rclpy represents the field's type, byte, as bytes of length one.
        level=bytes([report.health.level]),
        name=status_name(node_name, report.part),
        message=report.health.message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=value) for key, value in report.values.items()],
    )
