"""The node's state as diagnostic_msgs/DiagnosticArray."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from awml_deploy_ros.counters import CounterSnapshot
from awml_deploy_ros.health import Health, HealthMonitor
from awml_deploy_ros.latency import LatencySummary
from awml_deploy_ros.model import ModelIdentity


def to_diagnostics(stamp: Any, statuses: Iterable[Any]) -> Any:
    """DiagnosticArray of statuses; ``stamp`` is a builtin_interfaces/Time."""
    message = DiagnosticArray(status=list(statuses))
    message.header.stamp = stamp
    return message


def health_status(
    node_name: str,
    state: str,
    health: Health,
    monitor: HealthMonitor,
    counters: CounterSnapshot,
    identity: ModelIdentity,
) -> Any:
    """DiagnosticStatus with the judgement, counters and the identity of the model."""
    processing_ms = monitor.processing_ms
    values = {
        "state": state,
        "processing_time_ms": "" if processing_ms is None else f"{processing_ms:.3f}",
        "received": str(counters.received),
        "processed": str(counters.processed),
        **{f"dropped.{reason.value}": str(count) for reason, count in counters.dropped.items()},
        "last_error": monitor.last_failure,
        "model": identity.model_name,
        "bundle_hash": identity.bundle_hash,
        "backend": identity.backend,
        "device": identity.device,
    }
    return _status(f"{node_name}: processing", health, values, identity.device)


def latency_status(
    node_name: str, health: Health, summaries: Iterable[LatencySummary], identity: ModelIdentity
) -> Any:
    """DiagnosticStatus with the percentiles of every stage [ms]."""
    values = {
        f"{summary.name}.{statistic}_ms": f"{getattr(summary, statistic):.3f}"
        for summary in summaries
        for statistic in ("p50", "p95", "p99", "max")
    }
    return _status(f"{node_name}: latency", health, values, identity.device)


def _status(name: str, health: Health, values: Mapping[str, str], hardware_id: str) -> Any:
    return DiagnosticStatus(
        # rclpy represents the field's type, byte, as bytes of length one.
        level=bytes([health.level]),
        name=name,
        message=health.message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
