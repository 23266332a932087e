"""Verdicts on a bag that was replayed: is every cloud accounted for, was it fast enough?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from awml_deploy_core.verification import CheckResult, Status
from awml_deploy_ros.budget import BudgetState, judge_frames, read_budget
from awml_deploy_ros.health import Level
from awml_deploy_ros.replay.frames import ReplayedBag

PLAYED = "whole bag played"
ACCOUNTED = "every cloud accounted for"
SOME_PROCESSED = "clouds processed"
RECORDED = "every frame recorded"
ENDED = "node ended cleanly"
BUDGET = "latency budget"


def accounting_checks(run: ReplayedBag) -> Iterator[CheckResult]:
    """What came in, what came out, and why the rest did not.

    Dropped clouds do not fail the run as long as there is a reason; clouds without a known fate,
    frames missing from the recording and a node that did not end cleanly do.
    """
    sent, processed, dropped = len(run.clouds), len(run.processed), sum(run.dropped.values())
    verb = "sent" if run.mode == "live" else "read"
    yield _check(PLAYED, sent == run.source.count, f"{sent} of {run.source.count} clouds {verb}")
    reasons = ", ".join(f"{reason} {count}" for reason, count in run.dropped.items()) or "none"
    yield _check(
        ACCOUNTED,
        run.accounted == sent,
        f"{sent} {verb}, {run.accounted - dropped} processed, dropped with a reason: {reasons}, "
        f"{sent - run.accounted} without",
    )
    yield _check(SOME_PROCESSED, processed > 0, f"{processed} processed")
    yield _check(
        RECORDED,
        processed == run.accounted - dropped,
        f"{processed} frames in the recording of {run.accounted - dropped} processed",
    )
    if run.node_exit_code is not None:
        yield _check(ENDED, run.node_exit_code == 0, f"the node's exit code is {run.node_exit_code}")


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


def _check(name: str, passed: bool, message: str) -> CheckResult:
    return CheckResult(name, Status.PASSED if passed else Status.FAILED, message)
