"""The keys of the node's statuses in /diagnostics, in one table. This module knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from awml_deploy_ros.counters import DropReason

_DROPS: Mapping[DropReason, str] = MappingProxyType(
    {
        DropReason.SUPERSEDED: "a newer one arrived before they were looked at",
        DropReason.MALFORMED: "they contradict themselves or the field mapping, or name no frame",
        DropReason.INFERENCE_ERROR: "the model refused them or failed",
        DropReason.DEACTIVATED: "they waited when the node was deactivated",
        DropReason.LOST_IN_TRANSPORT: "the middleware reported that they never arrived",
    }
)

PROCESSING_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "state": "unconfigured, inactive, active or finalized; without a model the only key.",
        "processing_time_ms": "Processing time of the last frame [ms]; empty before the first.",
        "received": "Clouds handed to the node since it was configured.",
        "processed": "Clouds turned into detections.",
        **{f"dropped.{reason.value}": f"Clouds not processed: {text}." for reason, text in _DROPS.items()},
        "last_error": "Reason and message of the last cloud that failed since the node was activated; "
        "it stays when later clouds are fine.",
        "last_error_age_s": "How long ago that was [s]; empty if no cloud failed.",
        "model": "Model family and bundle.",
        "bundle_hash": "SHA-256 of the model bundle.",
        "backend": "Runtime of the model.",
        "device": "Device of the model.",
    }
)
"""Meaning by key of the status ``<node>: processing``."""

LATENCY_KEYS: Mapping[str, str] = MappingProxyType(
    {
        f"<stage>.{statistic}_ms": f"{text} of a stage over the last frames (latency_window) [ms]."
        for statistic, text in {
            "p50": "Median",
            "p95": "95th percentile",
            "p99": "99th percentile",
            "max": "Maximum",
        }.items()
    }
)
"""Meaning by key of the status ``<node>: latency``."""
