"""From what the steps return to records of the result model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.pipeline import StageLatencies
from awml_deploy_core.reporting.result import ErrorRecord, LatencyRecord
from awml_deploy_core.verification import Status

TOTAL = "total"
END_TO_END = "end_to_end"

_EXIT_CODES = {
    Status.PASSED: ExitCode.PASSED,
    Status.FAILED: ExitCode.FAILED,
    Status.SKIPPED: ExitCode.FAILED,
    Status.ERROR: ExitCode.ERROR,
}


def exit_code(status: Status) -> ExitCode:
    """The exit code of a verdict's status."""
    return _EXIT_CODES[status]


def latency_records(
    frames: Sequence[StageLatencies], end_to_end_ms: Sequence[float] = ()
) -> tuple[LatencyRecord, ...]:
    """Percentiles of every stage over the frames that ran it, in order.

    Args:
        frames: The stages of every frame.
        end_to_end_ms: What each frame took from its arrival to its publication [ms]; without it
            the last record is the sum of a frame's stages.
    """
    columns: dict[tuple[str, str], list[float]] = defaultdict(list)
    for frame in frames:
        for stage in frame.stages:
            columns[stage.name, stage.clock].append(stage.milliseconds)
    if end_to_end_ms:
        columns[END_TO_END, "cpu"] = list(end_to_end_ms)
    elif frames:
        columns[TOTAL, "sum"] = [frame.total_ms for frame in frames]
    records = []
    for (name, clock), values in columns.items():
        p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
        records.append(
            LatencyRecord(
                stage=name, clock=clock, frames=len(values), p50=p50, p95=p95, p99=p99, max=max(values)
            )
        )
    return tuple(records)


def error_record(error: AwmlDeployError) -> ErrorRecord:
    """Record of the error that ended a command."""
    return ErrorRecord(
        type=type(error).__name__,
        subject=error.subject,
        problem=error.problem,
        got=None if error.got is None else str(error.got),
        expected=None if error.expected is None else str(error.expected),
        hint=error.hint,
        problems=error.problems,
    )
