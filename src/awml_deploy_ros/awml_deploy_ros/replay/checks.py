"""Verdicts on a bag that was replayed: is every cloud accounted for, was it fast enough?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from awml_deploy_core.verification import CheckResult, Status
from awml_deploy_ros.accounting import accounting_checks
from awml_deploy_ros.budget import BudgetState, judge_frames, read_budget
from awml_deploy_ros.health import Level
from awml_deploy_ros.replay.frames import ReplayedBag

BUDGET = "latency budget"


def fate_checks(run: ReplayedBag) -> Iterator[CheckResult]:
    """Whether the fate of every cloud is known and allowed."""
    return accounting_checks(
        expected=run.source.count,
        sent=len(run.clouds),
        accounted=run.accounted,
        dropped=run.dropped,
        recorded=len(run.processed),
        node_exit_code=run.node_exit_code,
        verb="sent" if run.mode == "live" else "read",
    )


def budget_check(run: ReplayedBag, file: Path | None) -> CheckResult:
    """Passed if nothing was late for longer than the budget allows, which is its ERROR.

    Offline there is no cycle, and times are those of an idle node: what is too slow even so is too
    slow in the vehicle.

    Raises:
        ConfigError: The file is no budget.
    """
    if file is None:
        return CheckResult(BUDGET, Status.SKIPPED, "no budget was given", required=False)
    budget = read_budget(file)
    if run.mode == "offline":
        budget = budget.model_copy(update={"cyclic_time": None})
    if not run.frames:
        return CheckResult(BUDGET, Status.FAILED, "no frame to judge")
    if not budget.limits():
        return CheckResult(BUDGET, Status.SKIPPED, "limits the cyclic time only, which offline has none of")
    frames = [
        (when, frame.stages, frame.end_to_end_ms)
        for when, frame in zip(_result_times(run), run.frames, strict=True)
    ]
    state = judge_frames(budget, frames)
    return CheckResult(
        BUDGET,
        Status.FAILED if state.worst_level is Level.ERROR else Status.PASSED,
        _budget_message(state),
        details={
            "file": str(file),
            "items": [
                {
                    "name": item.name,
                    "limit_ms": item.limit_ms,
                    "delay_ms": item.delay_ms,
                    "frames": item.frames,
                    "late": item.late,
                    "worst_ms": item.worst_ms,
                    "longest_late_ms": item.longest_late_ms,
                    "worst_level": item.worst_level.name,
                }
                for item in state.items
            ],
        },
    )


def _result_times(run: ReplayedBag) -> list[int]:
    """When each result was there [ns]: on the recorder's clock, offline on the bag's."""
    if run.mode == "live":
        return [frame.recorded_ns for frame in run.frames]
    return [
        cloud.received_ns + round(cloud.frame.end_to_end_ms * 1e6)
        for cloud in run.clouds
        if cloud.frame is not None
    ]


def _budget_message(state: BudgetState) -> str:
    measured = [item for item in state.items if item.frames]
    parts = [
        f"{item.name} above {item.limit_ms:g} ms in {item.late} of {item.frames} frames, at most "
        f"{item.worst_ms:.1f} ms, for {item.longest_late_ms / 1000:.1f} s on end"
        for item in sorted(measured, key=lambda item: -item.worst_level)
        if item.late
    ]
    text = "; ".join(parts) or f"all of {len(measured)} limits kept in every frame"
    if missing := state.not_measured:
        text += f"; not measured: {', '.join(missing)}"
    return text
