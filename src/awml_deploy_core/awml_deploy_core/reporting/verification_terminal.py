"""A verification for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from awml_deploy_core.reporting.markup import plain, status_text
from awml_deploy_core.reporting.records import CheckRecord
from awml_deploy_core.reporting.verification_result import (
    BoxesRecord,
    ScenarioRecord,
    TensorRecord,
    VerificationRecord,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_MOST_LISTED = 5
_UNITS = {"position": " m", "size": " m", "yaw": " rad", "velocity": " m/s", "score": ""}


def print_verification(record: VerificationRecord, console: Console) -> None:
    """Checks of the bundle, probes, every scenario, and the verdict."""
    _print_general(record, console)
    for scenario in record.scenarios:
        precision = f", {scenario.precision}" if scenario.precision else ""
        console.print(
            f"verify {plain(scenario.name)} ({scenario.seconds:.1f} s{precision}): "
            f"{status_text(scenario.status)}",
            soft_wrap=True,
        )
        if scenario.tensors:
            console.print(_tensor_table(scenario))
        if scenario.boxes is not None and (scenario.boxes.matched or scenario.boxes.evidence):
            _print_boxes(scenario.boxes, console)
        if scenario.level_seconds:
            costs = [
                f"{name} {value:.2f}" + (" in all" if name == "bisect" else "")
                for name, value in scenario.level_seconds.items()
            ]
            console.print(f"  seconds a sample: {', '.join(costs)}", markup=False, highlight=False)
        _print_causes(scenario, console)
    console.print(
        f"verification over {record.num_samples} samples: {status_text(record.status)} "
        f"({record.summary.partition(': ')[2]})",
        soft_wrap=True,
    )


def _print_general(record: VerificationRecord, console: Console) -> None:
    passed = [check for check in record.checks if check.status == "passed"]
    probes = sum(check.details.get("level") == "probe" for check in passed)
    if passed:
        console.print(
            f"{len(passed) - probes} checks of the bundle and {probes} probes of known boxes "
            f"({record.probe_seconds:.1f} s): {status_text('passed')}"
        )
    _print_checks(record.checks, console, "")


def _tensor_table(scenario: ScenarioRecord) -> RenderableType:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("component", "tensor", box=SIMPLE_HEAD, pad_edge=False)
    has_bad = any(record.non_finite for record in scenario.tensors)
    for column in ("alone", "p99.9", "chain", *(["NaN, inf"] if has_bad else [])):
        table.add_column(column, justify="right")
    table.add_column("")
    by_place: dict[tuple[str, str], dict[str, TensorRecord]] = {}
    for record in scenario.tensors:
        by_place.setdefault((record.component, record.tensor), {})[record.level] = record
    shown = ""
    for (component, tensor), levels in by_place.items():
        alone, chain = levels.get("component"), levels.get("chain")
        first = alone or next(iter(levels.values()))
        failed = any(record.status == "failed" for record in levels.values())
        table.add_row(
            plain(component) if component != shown else "",
            plain(tensor),
            _figure(alone.relative if alone else None),
            _figure(first.relative_p999),
            _figure(chain.relative if chain else None),
            *([str(max(record.non_finite for record in levels.values()))] if has_bad else []),
            status_text("failed" if failed else "passed"),
        )
        shown = component
    return table


def _print_boxes(boxes: BoxesRecord, console: Console) -> None:
    console.print(
        f"  boxes: {boxes.matched} matched one to one, {boxes.unmatched} without a partner, "
        f"{boxes.borderline} borderline, coverage {boxes.coverage:.1%}",
        highlight=False,
    )
    figures = [
        f"{name} {boxes.worst[name]:.1e}{unit}" for name, unit in _UNITS.items() if name in boxes.worst
    ]
    if boxes.matched and figures:
        console.print(f"  largest differences: {', '.join(figures)}", highlight=False, soft_wrap=True)
    for item in boxes.evidence[:_MOST_LISTED]:
        word = "borderline" if item.borderline else "unmatched"
        box = item.box
        at = ", ".join(f"{value:.2f}" for value in box.get("center", ()))
        console.print(
            f"  {word} in {item.sample}: {box.get('class')} {box.get('score', 0.0):.4f} at ({at}) of the "
            f"{item.side} only: {'; '.join(text for text in (item.decision, item.why) if text)}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if len(boxes.evidence) > _MOST_LISTED:
        console.print(f"  and {len(boxes.evidence) - _MOST_LISTED} more, see the JSON report")


def _print_causes(scenario: ScenarioRecord, console: Console) -> None:
    if scenario.first_divergence:
        console.print(f"  first divergence: {scenario.first_divergence}", markup=False, soft_wrap=True)
    for found in scenario.bisections:
        console.print(f"  bisect: {found.message}", markup=False, soft_wrap=True, highlight=False)
    _print_checks(scenario.checks, console, "  ")


def _print_checks(checks: Sequence[CheckRecord], console: Console, indent: str) -> None:
    """The first of the checks that did not pass."""
    causes = [check for check in checks if check.status != "passed"]
    for check in causes[:_MOST_LISTED]:
        console.print(
            f"{indent}{check.status}: {check.name}: {check.message}",
            markup=False,
            soft_wrap=True,
            highlight=False,
        )
    if len(causes) > _MOST_LISTED:
        console.print(f"{indent}and {len(causes) - _MOST_LISTED} more, see the JSON report")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"
