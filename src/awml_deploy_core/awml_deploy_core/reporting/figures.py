"""Figures of an evaluation side by side, for every view."""

from __future__ import annotations

from collections.abc import Sequence

from awml_deploy_core.evaluation import Counts
from awml_deploy_core.evaluation.latency import LatencyStatistics, StageStatistics
from awml_deploy_core.evaluation.task import Cell, MetricTable
from awml_deploy_core.reporting.evaluation_result import EvaluationRecord

_STATISTICS = ("mean", "std", "min", "p50", "p90", "p95", "p99", "p99_9", "max")
_COMPARED = {
    "latency/mean": "mean [ms]",
    "latency/p50": "p50 [ms]",
    "latency/p99": "p99 [ms]",
    "latency/throughput_hz": "frames/s",
    "memory/peak_mb": "peak memory [MB]",
    "memory/device_mb": "memory of the GPU [MB]",
    "size/mb": "files [MB]",
    "agreement/matched_share": "share that agrees with the reference",
    "agreement/center_m_mean": "centres apart [m]",
}

COUNTS = ("ground truth", "detections", "matched", "precision", "recall")
"""Columns of what was found of one class."""

NO_FLOORS = "No floors are configured: nothing was asked of the figures."


def cell_text(cell: Cell) -> str:
    """A dash for None, three decimals for a float."""
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def count_columns(counts: Counts) -> list[str]:
    """Under :data:`COUNTS`."""
    found = counts.true_positives
    shares = ("-" if share is None else f"{share:.3f}" for share in (counts.precision, counts.recall))
    return [str(found + counts.false_negatives), str(found + counts.false_positives), str(found), *shares]


def comparison(record: EvaluationRecord) -> MetricTable:
    """One column a backend, the rows that any of them has."""
    titles: dict[str, str] = {}
    for backend in record.backends:
        titles |= backend.accuracy.compared if backend.accuracy else {}
    titles |= _COMPARED
    rows: list[tuple[Cell, ...]] = [("status", *(backend.status for backend in record.backends))]
    for name, title in titles.items():
        values = [_rounded(name, backend.figures.get(name)) for backend in record.backends]
        if any(value is not None for value in values):
            rows.append((title, *values))
    return MetricTable(
        title="backends", columns=("", *(backend.name for backend in record.backends)), rows=tuple(rows)
    )


def _rounded(name: str, value: float | None) -> Cell:
    if value is None or name not in _COMPARED or name == "agreement/matched_share":
        return value
    return f"{value:.1e}" if name == "agreement/center_m_mean" else f"{value:.1f}"


def latency_table(latency: LatencyStatistics, notes: Sequence[str] = ()) -> MetricTable:
    """One row a stage, the last from end to end [ms]."""
    return MetricTable(
        title="latency in ms",
        columns=("stage", *(name.replace("p99_9", "p99.9") for name in _STATISTICS), "frames"),
        rows=tuple(_stage_row(stage) for stage in (*latency.stages, latency.end_to_end)),
        notes=tuple(notes),
    )


def _stage_row(stage: StageStatistics) -> tuple[Cell, ...]:
    return stage.stage, *(f"{getattr(stage, name):.2f}" for name in _STATISTICS), stage.frames
