"""From the result of a verification to its records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from awml_deploy_core.reporting.records import CheckRecord, StatusText
from awml_deploy_core.reporting.verification_result import (
    BisectionRecord,
    BoxesRecord,
    BoxRecord,
    ComparedFrameRecord,
    ScenarioRecord,
    TensorRecord,
    VerificationRecord,
)
from awml_deploy_core.verification import (
    Bisection,
    CheckResult,
    ScenarioResult,
    Status,
    VerificationResult,
)

DrawnFrames = Mapping[str, tuple[ComparedFrameRecord, ...]]
"""Frames that were drawn, by scenario."""

_BOX = ("class", "score", "center", "size", "yaw", "velocity")
_NON_FINITE = ("reference_nan", "reference_inf", "test_nan", "test_inf")
_SUMMED = frozenset({"bisect"})


def verification_record(
    result: VerificationResult,
    sources: Sequence[str],
    num_samples: int,
    probe_seconds: float = 0.0,
    frames: DrawnFrames | None = None,
) -> VerificationRecord:
    """Record of a verification over ``num_samples`` samples of ``sources``."""
    verdict = result.verdict
    return VerificationRecord(
        status=verdict.status.value,
        summary=verdict.summary(),
        samples=tuple(sources),
        num_samples=num_samples,
        checks=tuple(check_record(check) for check in result.checks),
        probe_seconds=probe_seconds,
        scenarios=tuple(
            _scenario_record(scenario, num_samples, (frames or {}).get(scenario.scenario.name, ()))
            for scenario in result.scenarios
        ),
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


def _scenario_record(
    result: ScenarioResult, num_samples: int, frames: tuple[ComparedFrameRecord, ...]
) -> ScenarioRecord:
    scenario, verdict, divergence = result.scenario, result.verdict, result.first_divergence
    boxes = _boxes_record([check.details for check in result.checks if "matched" in check.details])
    return ScenarioRecord(
        name=scenario.name,
        reference=str(scenario.reference),
        test=str(scenario.test),
        required=scenario.required,
        precision=result.precision,
        status=result.status.value,
        seconds=result.seconds,
        level_seconds={
            level: seconds if level in _SUMMED else seconds / max(num_samples, 1)
            for level, seconds in result.level_seconds.items()
        },
        counts=verdict.counts(),
        boxes_matched=boxes.matched if boxes else 0,
        boxes_unmatched=boxes.unmatched if boxes else 0,
        boxes=boxes,
        first_divergence=divergence.name if divergence else None,
        bisections=tuple(_bisection_record(found) for found in result.bisections),
        tensors=tuple(_tensor_records(result.checks)),
        frames=frames,
        checks=tuple(check_record(check) for check in result.checks),
    )


def _boxes_record(outputs: Sequence[Mapping[str, Any]]) -> BoxesRecord | None:
    if not outputs:
        return None
    evidence = tuple(record for details in outputs for record in _evidence(details))
    matched = sum(details["matched"] for details in outputs)
    largest = matched + max(sum(box.side == side for box in evidence) for side in ("reference", "test"))
    worst: dict[str, float] = {}
    for details in outputs:
        for name, value in details.get("worst", {}).items():
            worst[name] = max(worst.get(name, 0.0), value)
    borderline = sum(box.borderline for box in evidence)
    return BoxesRecord(
        matched=matched,
        unmatched=len(evidence) - borderline,
        borderline=borderline,
        coverage=matched / largest if largest else 1.0,
        worst=worst,
        evidence=evidence,
    )


def _evidence(details: Mapping[str, Any]) -> Iterator[BoxRecord]:
    lists = (
        ("reference", False, details["only_in_reference"]),
        ("test", False, details["only_in_test"]),
        (None, True, details.get("borderline", ())),
    )
    for side, borderline, found in lists:
        for item in found:
            yield BoxRecord(
                sample=details.get("sample", ""),
                side=side or item["side"],
                borderline=borderline,
                box={name: item[name] for name in _BOX if name in item},
                nearest=item.get("nearest"),
                why=item.get("why", ""),
                decision=item.get("decision"),
            )


def _bisection_record(found: Bisection) -> BisectionRecord:
    divergence = found.divergence
    return BisectionRecord(
        component=found.component,
        against=found.against,
        tensors_compared=found.tensors_compared,
        message=found.message(),
        node=divergence.node if divergence else None,
        op_type=divergence.op_type if divergence else None,
        output=divergence.output if divergence else None,
        statistics=divergence.comparison.details() if divergence else {},
        changed_weights=found.changed_weights,
        changed_nodes=found.changed_nodes,
    )


def _tensor_records(checks: Iterable[CheckResult]) -> Iterator[TensorRecord]:
    groups: dict[tuple[str, str, str], list[CheckResult]] = defaultdict(list)
    for check in checks:
        if check.details.get("tensor"):
            details = check.details
            groups[details["component"], details["tensor"], details["level"]].append(check)
    for (component, tensor, level), group in groups.items():
        figures = {
            name: max(_values(group, name), default=None)
            for name in ("max_abs", "mean_abs", "relative", "relative_p999")
        }
        yield TensorRecord(
            component=component,
            tensor=tensor,
            level=level,
            status=_worst_status(group),
            checks=len(group),
            cosine=min(_values(group, "cosine"), default=None),
            non_finite=int(sum(sum(_values(group, name)) for name in _NON_FINITE)),
            **figures,
        )


def _values(checks: Sequence[CheckResult], figure: str) -> list[float]:
    return [value for check in checks if (value := check.details.get(figure)) is not None]


def _worst_status(checks: Sequence[CheckResult]) -> StatusText:
    return "failed" if any(check.status is Status.FAILED for check in checks) else "passed"
