"""The keys of the node's statuses in /diagnostics, in one table. This module knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from awml_deploy_ros.counters import DropReason, InputKind, NoPastSweeps

_WHY: Mapping[DropReason, str] = MappingProxyType(
    {
        DropReason.SUPERSEDED: "a newer one arrived before they were looked at",
        DropReason.MALFORMED: "they contradict themselves or the parameters, or name no frame",
        DropReason.INFERENCE_ERROR: "the model refused them or failed",
        DropReason.DEACTIVATED: "they waited when the node was deactivated",
        DropReason.LOST_IN_TRANSPORT: "they never reached the node: lost on the way, or replaced by newer "
        "ones in the middleware's queue",
        DropReason.MISSING_TF: "a transform that they need is not known",
        DropReason.LATE_TF: "a transform that they need did not come in time",
        DropReason.UNPAIRED: "no image with its CameraInfo was taken at their time",
    }
)
_WITHOUT_PAST: Mapping[NoPastSweeps, str] = MappingProxyType(
    {
        NoPastSweeps.DISABLED: "none are wanted (densification_params.num_past_frames: 0)",
        NoPastSweeps.FIRST_FRAME: "no cloud had been processed before",
        NoPastSweeps.MISSING_TF: "a transform is not known at the exact time",
        NoPastSweeps.LATE_TF: "a transform did not come within densification_params.tf_timeout_ms",
        NoPastSweeps.TIME_JUMPED_BACK: "the cloud was older than the one before it",
        NoPastSweeps.PAST_TOO_OLD: "the past was beyond densification_params.max_past_sweep_age_ms",
        NoPastSweeps.OTHER_FRAME_ID: "the clouds before were in another frame",
        NoPastSweeps.SAME_STAMP: "the cloud had the stamp of the one before it",
    }
)


def processing_keys(kind: InputKind) -> dict[str, str]:
    """Meaning by key of the status ``<node>: processing`` of a node with inputs of a kind."""
    noun, plural = kind.noun, f"{kind.noun.capitalize()}s"
    past = {
        "with_past_sweeps": "Frames processed with at least one past sweep.",
        **{
            f"without_past_sweeps.{reason.value}": f"Frames processed with the current sweep alone: {text}."
            for reason, text in _WITHOUT_PAST.items()
        },
    }
    return {
        "state": "unconfigured, inactive, active or finalized; without a model the only key.",
        "processing_time_ms": "Processing time of the last frame [ms]; empty before the first.",
        "header_age_ms": f"Age of the last frame's {noun} by its stamp [ms]; empty where it means nothing.",
        "header_age_problem": "Why it means nothing: simulated time, no stamp, the clock jumped, the stamp "
        "is in the future, or another time base.",
        "transport_ms": f"From the publication of the last frame's {noun} to its arrival [ms]; empty where "
        "the clocks of both sides differ or the middleware does not tell.",
        "clock_jumps": "How often the ROS clock was set since the node was configured.",
        "received": f"{plural} handed to the node since it was configured.",
        "processed": f"{plural} that gave a result.",
        **{
            f"dropped.{reason.value}": f"{plural} not processed: {_WHY[reason]}." for reason in kind.reasons
        },
        **(past if kind.past_sweeps else {}),
        "last_error": f"Reason and message of the last {noun} that failed since the node was activated; "
        "it stays when later ones are fine.",
        "last_error_age_s": f"How long ago that was [s]; empty if no {noun} failed.",
        "listeners": "Subscribers of the record that the middleware has found: whom a frame reaches.",
        "model": "Model family and bundle.",
        "bundle_hash": "SHA-256 of the model bundle.",
        "backend": "Runtime of the model.",
        "device": "Device of the model.",
    }


CALIBRATION_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "class": "The class of the last frame; empty before the first.",
        "probability.<class>": "Probability of a class in the last frame.",
        "stamp_s": "Stamp of the last frame's cloud [s].",
        "camera": "Frame of its image.",
        "lidar": "Frame of its cloud.",
        "stamp_difference_ms": "Stamp of its image minus that of its cloud [ms].",
        "points_in": "Points of its cloud.",
        "points_projected": "Of those, seen in the image.",
        "judged": "Frames judged since the node was configured.",
        "miscalibrated": "Of those, not calibrated.",
        "miscalibrated_in_a_row": "The last ones of those without a calibrated one in between.",
    }
)
"""Meaning by key of the status ``<node>: calibration`` of the node ``calibration_status``."""

LATENCY_KEYS: Mapping[str, str] = MappingProxyType(
    {
        f"<stage>.{statistic}_ms": f"{text} of a stage over the last frames (latency_window) [ms]; also of "
        "end_to_end, cyclic_time, jitter (change of the cyclic time), transport and header_age."
        for statistic, text in {
            "p50": "Median",
            "p95": "95th percentile",
            "p99": "99th percentile",
            "max": "Maximum",
        }.items()
    }
)
"""Meaning by key of the status ``<node>: latency``."""

BUDGET_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "<item>.limit_ms": "What a stage, end_to_end, processing_time or cyclic_time may take [ms].",
        "<item>.last_ms": "What it took in the last frame that had it [ms].",
        "<item>.worst_ms": "The most it took since the node was configured [ms].",
        "<item>.late_for_ms": "How long no frame has been in time [ms].",
        "<item>.late": "Frames above the limit since the node was configured.",
    }
)
"""Meaning by key of the status ``<node>: latency budget``, there with a latency_budget_file."""

SHADOW_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "reference": "What the reference process does: starting, ready, busy, or why it ended.",
        "compared": "Frames compared since the node was configured.",
        "agreed": "Of those, within the limits.",
        "disagreed": "Of those, beyond a limit.",
        "skipped_busy": "Frames that were due while the reference was at work or starting.",
        "skipped_share": "Frames that were due while the reference had used up shadow.max_share.",
        "failed": "Frames given to the reference without a result.",
        "restarts": "How often the reference process was started again.",
        "last_result": "The broken limits of the last compared frame, or a summary.",
        "last_disagreement": "The broken limits of the last frame that disagreed.",
    }
)
"""Meaning by key of the status ``<node>: shadow``, there with shadow.every_n above 0."""

SNIPPET_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "written": "Snippets written since the node was configured.",
        "removed": "Old ones removed to make room.",
        "failed": "Snippets that could not be written.",
        "not_written": "Frames worth one that came within snippets.min_interval_s of another.",
        "total_mb": "Size of all snippets in the folder [MB].",
        "buffer_mb": "Memory that holds the seconds before [MB].",
        "last_snippet": "The last one written.",
        "last_error": "Why the last one that failed could not be written.",
    }
)
"""Meaning by key of the status ``<node>: snippets``, there with a snippets.folder."""
