"""The node's state as diagnostic_msgs/DiagnosticArray."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node

from awml_deploy_ros.counters import CounterSnapshot
from awml_deploy_ros.health import Health, HealthMonitor, Level
from awml_deploy_ros.latency import LatencySummary
from awml_deploy_ros.model import ModelIdentity
from awml_deploy_ros.topics import DIAGNOSTICS

_PERIOD_NS = 1_000_000_000


class DiagnosticsPublisher:
    """Judges a node at an interval; publishes when the level changes and every second.

    It runs on the steady clock, because the ROS clock may be simulated and stand still.

    Args:
        node: The node that is judged.
        interval_s: Time between two judgements [s].
        judge: Gives the node's health and its statuses at a monotonic time [ns].
    """

    def __init__(
        self, node: Node, interval_s: float, judge: Callable[[int], tuple[Health, Iterable[Any]]]
    ) -> None:
        self._node = node
        self._judge = judge
        self._last_level: Level | None = None
        self._last_published_ns = 0
        self._publisher = node.create_publisher(DiagnosticArray, DIAGNOSTICS.name, 10)
        self._timer = node.create_timer(
            interval_s, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def close(self) -> None:
        """Destroy the timer and the publisher."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        health, statuses = self._judge(now_ns)
        if health.level == self._last_level and now_ns - self._last_published_ns < _PERIOD_NS:
            return
        self._last_level, self._last_published_ns = health.level, now_ns
        self._publisher.publish(to_diagnostics(self._node.get_clock().now().to_msg(), statuses))


def to_diagnostics(stamp: Any, statuses: Iterable[Any]) -> Any:
    """DiagnosticArray of statuses; ``stamp`` is a builtin_interfaces/Time."""
    message = DiagnosticArray(status=list(statuses))
    message.header.stamp = stamp
    return message


def modelless_status(node_name: str, state: str, health: Health) -> Any:
    """DiagnosticStatus of a node without a model."""
    return _status(processing_name(node_name), health, {"state": state}, "")


def health_status(
    node_name: str,
    state: str,
    health: Health,
    monitor: HealthMonitor,
    counters: CounterSnapshot,
    identity: ModelIdentity,
    now_ns: int,
) -> Any:
    """DiagnosticStatus with the judgement, counters and the identity of the model.

    Its keys are those of :data:`~awml_deploy_ros.diagnostic_keys.PROCESSING_KEYS`.
    """
    processing_ms, failure = monitor.processing_ms, monitor.last_failure
    values = {
        "state": state,
        "processing_time_ms": "" if processing_ms is None else f"{processing_ms:.3f}",
        "received": str(counters.received),
        "processed": str(counters.processed),
        **{f"dropped.{reason.value}": str(count) for reason, count in counters.dropped.items()},
        "with_past_sweeps": str(counters.with_past_sweeps),
        **{
            f"without_past_sweeps.{reason.value}": str(count)
            for reason, count in counters.without_past_sweeps.items()
        },
        "last_error": "" if failure is None else str(failure),
        "last_error_age_s": "" if failure is None else f"{(now_ns - failure.time_ns) * 1e-9:.1f}",
        "model": identity.model_name,
        "bundle_hash": identity.bundle_hash,
        "backend": identity.backend,
        "device": identity.device,
    }
    return _status(processing_name(node_name), health, values, identity.device)


def latency_status(
    node_name: str, health: Health, summaries: Iterable[LatencySummary], identity: ModelIdentity
) -> Any:
    """DiagnosticStatus with the percentiles of every stage [ms]."""
    values = {
        f"{summary.name}.{statistic}_ms": f"{getattr(summary, statistic):.3f}"
        for summary in summaries
        for statistic in ("p50", "p95", "p99", "max")
    }
    return _status(f"{node_name.lstrip('/')}: latency", health, values, identity.device)


def processing_name(node_name: str) -> str:
    """Name of a node's first status: without the leading slash, as diagnostic_updater has it."""
    return f"{node_name.lstrip('/')}: processing"


def _status(name: str, health: Health, values: Mapping[str, str], hardware_id: str) -> Any:
    return DiagnosticStatus(
        # rclpy represents the field's type, byte, as bytes of length one.
        level=bytes([health.level]),
        name=name,
        message=health.message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
