"""Results for people: tables of the result model with rich."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from awml_deploy_core.reporting.engines import engine_table, print_selftest
from awml_deploy_core.reporting.evaluation_terminal import print_checks, print_evaluation
from awml_deploy_core.reporting.figures import COUNTS, count_columns
from awml_deploy_core.reporting.markup import plain
from awml_deploy_core.reporting.precision_views import print_precision
from awml_deploy_core.reporting.result import (
    AccuracyRecord,
    InferenceRecord,
    LatencyRecord,
    ReplayRecord,
    Report,
)
from awml_deploy_core.reporting.verification_terminal import print_verification

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def print_report(report: Report, console: Console) -> None:
    """Print every section the report has."""
    if report.export is not None:
        console.print(_export_table(report))
    if report.engines is not None:
        console.print(engine_table(report.engines))
    if report.selftest is not None:
        print_selftest(report.selftest, console)
    if report.verification is not None:
        print_verification(report.verification, console)
    if report.evaluation is not None:
        print_evaluation(report.evaluation, console)
    if report.precision is not None:
        print_precision(report.precision, console)
    if report.inference is not None:
        _print_inference(report.inference, console)
    if report.replay is not None:
        _print_replay(report.replay, console)
    if report.accuracy is not None:
        _print_accuracy(report.accuracy, console)
    if report.bundle and (report.export is not None or report.engines is not None):
        console.print(f"bundle: {report.bundle}", markup=False, soft_wrap=True)


def _export_table(report: Report) -> RenderableType:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("exported component", "file", "size", "time", box=SIMPLE_HEAD, pad_edge=False)
    for record in report.export or ():
        table.add_row(
            plain(record.component),
            plain(record.file),
            f"{record.size_bytes / 1e3:.0f} kB",
            f"{record.seconds:.1f} s",
        )
    return table


def _print_inference(record: InferenceRecord, console: Console) -> None:
    failed = sum(frame.error is not None for frame in record.frames)
    run = len(record.frames) - failed
    console.print(
        f"{run} frames on {plain(record.backend)}:{record.device}"
        + (f", [bold red]{failed} could not be run[/]" if failed else "")
        + f"; detections: {plain(_counts(record.detections_by_class))}",
        soft_wrap=True,
    )
    if run:
        console.print(latency_table(record.latencies))
    if pictures := [frame.picture for frame in record.frames if frame.picture]:
        more = " ..." if len(pictures) > 1 else ""
        console.print(f"pictures: {pictures[0]}{more}", markup=False, soft_wrap=True)


def _print_replay(record: ReplayRecord, console: Console) -> None:
    size, backend = f"{record.sent_bytes / 1e6:.0f} MB", f"{record.backend}:{record.device}"
    if record.mode == "offline":
        way = f"{record.sent} clouds read ({size}), run on {backend}"
    else:
        way = (
            f"{record.sent} clouds sent at {record.rate_hz:g} Hz ({size}), {record.received} received by "
            f"the node on {backend}"
        )
    dropped = _counts(record.dropped)
    console.print(f"{way}, {record.processed} processed; dropped: {dropped}", markup=False, soft_wrap=True)
    console.print(
        f"frames with past sweeps: {record.with_past_sweeps}; "
        f"without: {_counts(record.without_past_sweeps)}",
        markup=False,
        soft_wrap=True,
    )
    console.print(f"detections: {_counts(record.detections_by_class)}", markup=False, soft_wrap=True)
    for note in record.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print(latency_table((*record.latencies, *record.transport)))
    if record.accuracy is not None:
        console.print(f"accuracy: {record.accuracy.headline}", markup=False, soft_wrap=True)
    print_checks(record.checks, console)


def _print_accuracy(record: AccuracyRecord, console: Console) -> None:
    matched = record.matched
    console.print(
        f"detections matched to ground truth at {matched.max_distance:g} m in {matched.num_frames} frames: "
        f"boxes within {record.max_range:g} m, ground truth on at least {record.min_points} points, "
        "score thresholds of the bundle",
        markup=False,
        soft_wrap=True,
    )
    console.print(_accuracy_table(record))
    print_checks(record.checks, console)


def _accuracy_table(record: AccuracyRecord) -> RenderableType:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("class", box=SIMPLE_HEAD, pad_edge=False)
    for column in COUNTS:
        table.add_column(column, justify="right")
    for name, counts in record.matched.classes.items():
        table.add_row(plain(name), *count_columns(counts))
    table.add_section()
    table.add_row("total", *count_columns(record.matched.total), style="bold")
    return table


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def latency_table(records: tuple[LatencyRecord, ...]) -> RenderableType:
    """Percentiles of every stage [ms]."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("latency in ms", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("p50", "p95", "p99", "max", "frames"):
        table.add_column(column, justify="right")
    for record in records:
        figures = (f"{value:.2f}" for value in (record.p50, record.p95, record.p99, record.max))
        table.add_row(plain(record.stage), *figures, str(record.frames))
    return table
