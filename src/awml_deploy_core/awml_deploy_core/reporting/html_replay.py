"""A replayed bag on the HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from awml_deploy_core.reporting.html_checks import checks_table
from awml_deploy_core.reporting.html_parts import (
    badge,
    details,
    html_table,
    metric_tables,
    paragraph,
    picture,
    section,
    text,
)
from awml_deploy_core.reporting.html_sections import evidence_table, latencies_view
from awml_deploy_core.reporting.result import RegressionRecord, ReplayRecord

_MOST_PICTURES = 20
_MOST_CHANGES = 200
_FEW = 12


def replay_section(record: ReplayRecord) -> str:
    """What came in and out, every check, what changed since an earlier replay, latencies."""
    parts = [
        f"<p>{badge(record.status)}</p>",
        paragraph(_headline(record)),
        paragraph(
            f"dropped: {_counts(record.dropped)}; with past sweeps: {record.with_past_sweeps}, without: "
            f"{_counts(record.without_past_sweeps)}; detections: {_counts(record.detections_by_class)}"
        ),
        *(paragraph(note, "note") for note in record.notes),
        checks_table(record.checks),
    ]
    if record.regression is not None:
        parts += _regression(record.regression)
    if record.agreement is not None and record.agreement.evidence:
        parts += ["<h3>Boxes without a partner in the reference</h3>", evidence_table(record.agreement)]
    parts.append(latencies_view(record.latencies))
    if record.transport:
        parts += ["<h3>Between the processes</h3>", latencies_view(record.transport)]
    if record.accuracy is not None:
        parts += [f"<h3>Accuracy</h3>{paragraph(record.accuracy.headline)}"]
        parts.append(metric_tables(record.accuracy.tables))
    parts += [picture(path, Path(path).stem) for path in record.pictures[:_MOST_PICTURES]]
    if record.digest:
        parts.append(paragraph(f"digest of stamps, fates and boxes: {record.digest}", "faint"))
    return section("Replay", parts)


def _headline(record: ReplayRecord) -> str:
    backend = f"{record.backend}:{record.device}"
    if record.mode == "offline":
        return f"{record.sent} clouds of {record.source} read, {record.processed} processed on {backend}"
    return (
        f"{record.sent} clouds of {record.source} sent at {record.rate_hz:g} Hz, {record.received} "
        f"received, {record.processed} processed on {backend}"
    )


def _regression(record: RegressionRecord) -> Iterator[str]:
    yield "<h3>Against the earlier result</h3>"
    model = "the same model" if record.same_model else "another model"
    yield paragraph(
        f"{record.compared} frames compared with {record.baseline} ({model}): {record.identical} equal bit "
        f"by bit, {record.matched} boxes unchanged, {len(record.changes)} not",
        "faint",
    )
    if record.changes:
        rows = [
            (
                text(change.sample),
                text(change.kind),
                text(change.box.get("class")),
                f"{change.box.get('score', 0.0):.3f}",
                text(", ".join(f"{value:.1f}" for value in change.box.get("center", ()))),
                text(change.detail),
            )
            for change in record.changes[:_MOST_CHANGES]
        ]
        columns = ("sample", "box is", "class", "score", "center [m]", "what differs")
        first, *others = (
            html_table(columns, part, text_columns=(0, 5), name_columns=(1, 2, 4))
            for part in (rows[:_FEW], rows[_FEW:])
            if part
        )
        yield first
        yield from (details(f"{len(rows) - _FEW} more boxes", table) for table in others)
        if len(record.changes) > _MOST_CHANGES:
            yield paragraph(f"and {len(record.changes) - _MOST_CHANGES} more, see the JSON report", "note")
    for title, lines in (
        ("clouds that met another fate", record.fates),
        ("frames with other past sweeps or no time for them, not compared", record.other_input),
    ):
        if lines:
            yield details(f"{len(lines)} {title}", "".join(map(paragraph, lines)))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
