"""Limits on figures: what turns an evaluation into a gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from awml_deploy_core.config.evaluation_schema import FloorSection
from awml_deploy_core.evaluation.results import BackendResult
from awml_deploy_core.validation import suggest
from awml_deploy_core.verification import CheckResult, Status

_PERCENTILE_FIGURES = {"latency/p50": 50.0, "latency/p90": 90.0, "latency/p95": 95.0, "latency/p99": 99.0}


def check_floors(result: BackendResult, floors: Sequence[FloorSection]) -> Iterator[CheckResult]:
    """One check for every floor that is about this backend.

    A figure that was not measured makes a check that is skipped and required: it fails the run. So does
    a percentile of the latency that meets its limit while its confidence interval does not.
    """
    figures = result.figures()
    for floor in floors:
        if floor.backends and result.name not in floor.backends:
            continue
        name = f"{result.name} / {floor.figure} {_limits(floor)}"
        details = {"backend": result.name, "figure": floor.figure, "min": floor.min, "max": floor.max}
        if (value := figures.get(floor.figure)) is None:
            status, message = _missing(result, floor.figure, figures)
        else:
            status, message = _judge(result, floor, value)
            details["value"] = value
        yield CheckResult(name, status, message, result.backend.required, details)


def floors_of_others(floors: Sequence[FloorSection], names: Sequence[str]) -> Iterator[CheckResult]:
    """One optional, skipped check for every floor of a backend that is not evaluated this time.

    Args:
        floors: All of the configuration.
        names: Backends that are evaluated.
    """
    for floor in floors:
        for name in floor.backends:
            if name not in names:
                title = f"{name} / {floor.figure} {_limits(floor)}"
                details = {"backend": name, "figure": floor.figure}
                yield CheckResult(title, Status.SKIPPED, f"{name} is not evaluated", False, details)


def _judge(result: BackendResult, floor: FloorSection, value: float) -> tuple[Status, str]:
    message = f"{value:.4g}"
    if (floor.min is not None and value < floor.min) or (floor.max is not None and value > floor.max):
        return Status.FAILED, f"{message}, limit {_limits(floor)}"
    latency = result.latency
    judged = latency.stability if latency else None
    if judged is None or _PERCENTILE_FIGURES.get(floor.figure) != judged.percentile:
        return Status.PASSED, message
    if floor.max is not None and (judged.high is None or judged.high > floor.max):
        return Status.SKIPPED, f"{message} meets the limit, but is not known well enough: {judged.message}"
    return Status.PASSED, message


def _missing(result: BackendResult, figure: str, figures: dict[str, float]) -> tuple[Status, str]:
    kind = figure.partition("/")[0]
    reasons = {
        "latency": (result.latency, result.latency_missing),
        "agreement": (result.agreement, result.agreement_missing),
    }
    measured, reason = reasons.get(kind, (result.accuracy, result.accuracy_missing))
    if measured is None and kind not in ("memory", "size"):
        return Status.SKIPPED, f"not measured: {reason or 'the backend did not run'}"
    return Status.ERROR, f"there is no such figure{suggest(figure, figures)}"


def _limits(floor: FloorSection) -> str:
    limits = ((">=", floor.min), ("<=", floor.max))
    return " and ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)
