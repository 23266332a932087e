"""From what the steps return to records of the result model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.pipeline import StageLatencies
from awml_deploy_core.reporting.records import CheckRecord, StatusText
from awml_deploy_core.reporting.result import (
    ErrorRecord,
    LatencyRecord,
    ScenarioRecord,
    TensorRecord,
    VerificationRecord,
)
from awml_deploy_core.verification import CheckResult, ScenarioResult, Status, VerificationResult

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


def verification_record(
    result: VerificationResult, sources: Sequence[str], num_samples: int
) -> VerificationRecord:
    """Record of a verification over ``num_samples`` samples of ``sources``."""
    verdict = result.verdict
    return VerificationRecord(
        status=verdict.status.value,
        summary=verdict.summary(),
        samples=tuple(sources),
        num_samples=num_samples,
        scenarios=tuple(_scenario_record(scenario) for scenario in result.scenarios),
    )


def _scenario_record(result: ScenarioResult) -> ScenarioRecord:
    scenario, verdict, divergence = result.scenario, result.verdict, result.first_divergence
    outputs = [check.details for check in result.checks if "matched" in check.details]
    return ScenarioRecord(
        name=scenario.name,
        reference=str(scenario.reference),
        test=str(scenario.test),
        required=scenario.required,
        status=result.status.value,
        seconds=result.seconds,
        counts=verdict.counts(),
        boxes_matched=sum(details["matched"] for details in outputs),
        boxes_unmatched=sum(
            len(details["only_in_reference"]) + len(details["only_in_test"]) for details in outputs
        ),
        first_divergence=divergence.name if divergence else None,
        tensors=tuple(_tensor_records(result.checks)),
        checks=tuple(check_record(check) for check in result.checks),
    )


def check_record(check: CheckResult) -> CheckRecord:
    """Record of one check."""
    return CheckRecord(
        name=check.name,
        status=check.status.value,
        required=check.required,
        message=check.message,
        details=check.details,
    )


def _tensor_records(checks: Iterable[CheckResult]) -> list[TensorRecord]:
    groups: dict[tuple[str, str, str], list[CheckResult]] = defaultdict(list)
    for check in checks:
        if check.details.get("tensor"):
            details = check.details
            groups[details["component"], details["tensor"], details["level"]].append(check)
    return [
        TensorRecord(
            component=component,
            tensor=tensor,
            level=level,
            status=_worst_status(group),
            checks=len(group),
            max_abs=_largest(group, "max_abs"),
            relative=_largest(group, "relative"),
        )
        for (component, tensor, level), group in groups.items()
    ]


def _worst_status(checks: Sequence[CheckResult]) -> StatusText:
    return "failed" if any(check.status is Status.FAILED for check in checks) else "passed"


def _largest(checks: Sequence[CheckResult], figure: str) -> float | None:
    values = [value for check in checks if (value := check.details.get(figure)) is not None]
    return max(values, default=None)


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
