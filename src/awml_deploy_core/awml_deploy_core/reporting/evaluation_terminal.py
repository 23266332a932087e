"""An evaluation for people: the comparison of all backends, then each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from awml_deploy_core.evaluation.latency import LatencyStatistics
from awml_deploy_core.evaluation.task import MetricTable
from awml_deploy_core.reporting.evaluation_result import EvaluatedBackendRecord, EvaluationRecord
from awml_deploy_core.reporting.figures import NO_FLOORS, cell_text, comparison, latency_table
from awml_deploy_core.reporting.markup import plain, status_text
from awml_deploy_core.reporting.records import CheckRecord

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDEST = 400
_MOST_LISTED = 3


def print_evaluation(record: EvaluationRecord, console: Console) -> None:
    """Print every backend and their comparison."""
    for backend in record.backends:
        _print_backend(backend, console)
    if len(record.backends) > 1:
        print_table(comparison(record), console)
    print_checks(record.checks, console)
    if not record.floors:
        print_line(NO_FLOORS, console)
    console.print(
        f"evaluation over {record.num_samples} samples: {status_text(record.status)} "
        f"({record.summary.partition(': ')[2]})",
        soft_wrap=True,
    )


def _print_backend(record: EvaluatedBackendRecord, console: Console) -> None:
    title = f"evaluate {plain(record.name)} ({record.seconds:.1f} s): {status_text(record.status)}"
    kept = f", {record.resumed} of {record.frames} frames from an earlier run" if record.resumed else ""
    console.print(title + kept, soft_wrap=True)
    if record.accuracy is not None:
        print_line(f"  {record.accuracy.headline}", console)
        for table in record.accuracy.tables:
            print_table(table, console)
    elif record.accuracy_missing:
        print_line(f"  accuracy was not measured: {record.accuracy_missing}", console)
    if record.latency is not None:
        _print_latency(record.latency, console)
    elif record.latency_missing:
        print_line(f"  latency was not measured: {record.latency_missing}", console)
    if record.agreement is not None:
        print_line(f"  agreement: {record.agreement.headline}", console)
    if record.memory is not None:
        peak = f"  memory: {record.memory.peak_mb:.0f} MB at most, {record.memory.before_mb:.0f} MB before"
        if record.memory.device_mb is not None:
            peak += f"; {record.memory.device_mb:.0f} MB of the GPU"
        elif record.memory.device_missing:
            peak += f"; of the GPU not measured: {record.memory.device_missing}"
        print_line(peak, console)
    for frame in record.worst[:_MOST_LISTED]:
        print_line(f"  worst: {frame.sample}: {frame.score:.2f} ({frame.summary})", console)
    print_checks(record.checks, console)


def print_checks(checks: Sequence[CheckRecord], console: Console) -> None:
    """One line a check."""
    for check in checks:
        text = plain(f"{check.name}: {check.message}")
        console.print(f"  {status_text(check.status)}  {text}", soft_wrap=True, highlight=False)


def _print_latency(record: LatencyStatistics, console: Console) -> None:
    print_table(latency_table(record), console)
    print_line(
        f"  {record.stability.message}; {record.throughput_hz:.1f} frames/s; "
        f"{record.num_outliers} outliers in {record.frames} frames",
        console,
    )


def print_table(table: MetricTable, console: Console) -> None:
    """Print a table no narrower than its figures: in a log of 80 columns, cut ones would be lost."""
    from rich.box import SIMPLE_HEAD
    from rich.measure import Measurement
    from rich.table import Table

    shown: Table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for position, column in enumerate(table.columns):
        shown.add_column(plain(column), justify="right" if position else "left", no_wrap=True)
    for row in table.rows:
        shown.add_row(*(plain(cell_text(cell)) for cell in row))
    shown.width = Measurement.get(console, console.options.update(width=_WIDEST), shown).maximum
    print_line(f"  {table.title}:", console)
    console.print(shown, crop=False, no_wrap=True, overflow="ignore")
    for note in table.notes:
        print_line(f"  {note}", console)


def print_line(text: str, console: Console) -> None:
    """Plain text, however long."""
    console.print(text, markup=False, soft_wrap=True, highlight=False)
