"""An evaluation on the HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from awml_deploy_core.evaluation.latency import LatencyStatistics
from awml_deploy_core.evaluation.task import MetricTable
from awml_deploy_core.reporting.evaluation_result import (
    EvaluatedBackendRecord,
    EvaluationRecord,
    EvidenceRecord,
)
from awml_deploy_core.reporting.figures import NO_FLOORS, comparison, latency_table
from awml_deploy_core.reporting.html_checks import checks_table
from awml_deploy_core.reporting.html_parts import (
    badge,
    details,
    metric_table,
    metric_tables,
    paragraph,
    picture,
    section,
    text,
)
from awml_deploy_core.reporting.html_plots import histogram, stage_bars


def evaluation_section(record: EvaluationRecord) -> str:
    """Comparison first, then every backend."""
    parts = [
        f"<p>{badge(record.status)} {text(record.summary.partition(': ')[2])}</p>",
        paragraph(f"{record.num_samples} samples of {', '.join(record.samples)}", "faint"),
    ]
    if not record.floors:
        parts.append(paragraph(NO_FLOORS))
    if len(record.backends) > 1:
        parts.append(metric_table(comparison(record)))
    for backend in record.backends:
        parts += _backend(backend)
    parts.append(checks_table(record.checks))
    return section("Evaluation", parts)


def _backend(record: EvaluatedBackendRecord) -> Iterator[str]:
    yield f"<h3>{text(record.name)} {badge(record.status)}</h3>"
    kept = f", {record.resumed} of them from an earlier run" if record.resumed else ""
    yield paragraph(f"{record.frames} samples in {record.seconds:.1f} s{kept}", "faint")
    yield checks_table(record.checks)
    if record.accuracy is not None:
        yield paragraph(record.accuracy.headline)
        yield metric_tables(record.accuracy.tables)
    elif record.accuracy_missing:
        yield paragraph(f"Accuracy was not measured: {record.accuracy_missing}")
    if record.agreement is not None:
        agreement = record.agreement
        yield f"<h4>agreement with {text(agreement.reference)}</h4>"
        yield paragraph(agreement.headline)
        rows = tuple((name, f"{value:.4g}") for name, value in agreement.figures.items())
        yield details("figures", metric_table(MetricTable(title="", columns=("", ""), rows=rows)))
    if record.latency is not None:
        yield from _latency(record.latency)
    elif record.latency_missing:
        yield paragraph(f"Latency was not measured: {record.latency_missing}")
    yield from _resources(record)
    yield from _frames(record)


def _latency(latency: LatencyStatistics) -> Iterator[str]:
    yield "<h4>latency</h4>"
    bars = stage_bars((*latency.stages, latency.end_to_end))
    yield f'<div class="plots">{histogram(latency)}{bars}</div>'
    notes = [
        f"{latency.stability.message}: {'stable' if latency.stability.stable else 'NOT STABLE'}",
        f"{latency.throughput_hz:.1f} frames/s one after the other; {latency.samples} samples in turn for "
        f"{latency.seconds:.1f} s after {latency.warm_up_frames} frames of warm-up",
    ]
    if latency.incomplete_frames:
        notes.append(
            f"{latency.incomplete_frames} frames ended early and are not in the end-to-end figures"
        )
    yield metric_table(latency_table(latency, notes))
    if latency.outliers:
        listed = tuple(
            (outlier.sample, outlier.frame, f"{outlier.milliseconds:.2f}", outlier.slowest_stage)
            for outlier in latency.outliers
        )
        table = MetricTable(title="", columns=("sample", "frame", "ms", "slowest stage"), rows=listed)
        yield details(f"{latency.num_outliers} outliers", metric_table(table))


def _resources(record: EvaluatedBackendRecord) -> Iterator[str]:
    if record.memory is not None:
        own = "" if record.memory.is_own_peak else " (of the whole process so far)"
        yield paragraph(
            f"Host memory: {record.memory.peak_mb:.0f} MB at most{own}, {record.memory.before_mb:.0f} MB "
            f"before the backend was opened."
        )
        if record.memory.device_mb is not None:
            yield paragraph(f"Memory of the GPU: {record.memory.device_mb:.0f} MB.")
        elif record.memory.device_missing:
            yield paragraph(f"Memory of the GPU was not measured: {record.memory.device_missing}")
    if record.size_bytes is not None:
        yield paragraph(f"Files that the backend loads: {record.size_bytes / 1e6:.2f} MB.")


def _frames(record: EvaluatedBackendRecord) -> Iterator[str]:
    for title, frames in (("worst frames", record.worst), ("best frames", record.best)):
        if frames:
            content = "".join(map(_frame, frames))
            yield details(f"{title} of {record.name}", content, is_open=title.startswith("worst"))


def _frame(frame: EvidenceRecord) -> str:
    caption = f"{frame.sample}: {frame.score:.2f} by {frame.judged_by} ({frame.summary})"
    return picture(frame.picture, caption)
