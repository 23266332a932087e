"""Verification and inference on the HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from awml_deploy_core.reporting.figures import COUNTS, count_columns
from awml_deploy_core.reporting.html_checks import checks_table
from awml_deploy_core.reporting.html_parts import (
    badge,
    details,
    html_table,
    paragraph,
    picture,
    section,
    text,
)
from awml_deploy_core.reporting.html_plots import stage_bars
from awml_deploy_core.reporting.result import AccuracyRecord, InferenceRecord, LatencyRecord
from awml_deploy_core.reporting.verification_result import (
    BoxesRecord,
    ScenarioRecord,
    TensorRecord,
    VerificationRecord,
)

_MOST_PICTURES = 20
_FEW = 8


def verification_section(record: VerificationRecord) -> str:
    """Every scenario: what differs first, tensors, checks."""
    parts = [
        f"<p>{badge(record.status)} {text(record.summary.partition(': ')[2])}</p>",
        paragraph(f"{record.num_samples} samples of {', '.join(record.samples)}", "faint"),
    ]
    for scenario in record.scenarios:
        parts += _scenario(scenario)
    if record.checks:
        parts += ["<h3>Bundle and boxes at known places</h3>", checks_table(record.checks)]
    return section("Verification", parts)


def _scenario(record: ScenarioRecord) -> Iterator[str]:
    yield f"<h3>{text(record.name)} {badge(record.status)}</h3>"
    required = "required" if record.required else "optional"
    facts = [f"{record.test} against {record.reference}", required, f"{record.seconds:.1f} s"]
    if record.boxes is not None:
        facts.append(
            f"boxes: {record.boxes_matched} matched one to one, {record.boxes_unmatched} without a partner"
        )
    yield paragraph(", ".join(facts), "faint")
    if record.first_divergence:
        yield paragraph(f"First divergence: {record.first_divergence}")
    if record.tensors:
        yield _tensors(record.tensors)
    for bisection in record.bisections:
        yield paragraph(f"Inside {bisection.component}: {bisection.message}")
    if record.frames:
        pictures = "".join(
            picture(frame.picture, f"{frame.sample}: {frame.summary}") for frame in record.frames
        )
        title = "frame that agrees least" if len(record.frames) == 1 else "frames that agree least"
        yield details(title, pictures, is_open=True)
    if record.boxes is not None and record.boxes.evidence:
        yield evidence_table(record.boxes)
    yield checks_table(record.checks)


def _tensors(tensors: Sequence[TensorRecord]) -> str:
    rows = [
        (
            text(tensor.component),
            text(tensor.tensor),
            text(tensor.level),
            *map(_figure, (tensor.relative, tensor.relative_p999, tensor.max_abs, tensor.mean_abs)),
            "-" if tensor.cosine is None else f"{tensor.cosine:.6f}",
            str(tensor.non_finite),
            str(tensor.checks),
            badge(tensor.status),
        )
        for tensor in tensors
    ]
    figures = ("relative", "p99.9", "max abs", "mean abs", "cosine", "NaN, inf", "checks")
    columns = ("component", "tensor", "level", *figures, "")
    return html_table(columns, rows, name_columns=(0, 1, 2))


def evidence_table(boxes: BoxesRecord) -> str:
    """Boxes without a partner, and why; most are folded away if there are many."""
    rows = [
        (
            text(box.sample),
            text(box.side),
            text(str(box.box.get("class"))),
            f"{box.box.get('score', 0.0):.3f}",
            text(f"{box.why}; {box.decision}" if box.decision else box.why),
            text("borderline") if box.borderline else badge("failed"),
        )
        for box in boxes.evidence
    ]
    columns = ("sample", "side", "class", "score", "why it has no partner", "")
    tables = [
        html_table(columns, part, text_columns=(0, 4), name_columns=(1, 2))
        for part in (rows[:_FEW], rows[_FEW:])
        if part
    ]
    more = details(f"{len(rows) - _FEW} more boxes without a partner", tables[1]) if tables[1:] else ""
    return "".join(tables[:1]) + more


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"


def inference_section(record: InferenceRecord) -> str:
    """Latency and the first pictures."""
    counts = ", ".join(f"{name} {count}" for name, count in record.detections_by_class.items()) or "none"
    parts = [
        paragraph(f"{len(record.frames)} frames of {record.source} on {record.backend}:{record.device}"),
        paragraph(f"detections: {counts}"),
        latencies_view(record.latencies),
    ]
    parts += [paragraph(f"{frame.sample}: {frame.error}") for frame in record.frames if frame.error]
    drawn = [frame for frame in record.frames if frame.picture][:_MOST_PICTURES]
    if drawn:
        pictures = "".join(
            picture(frame.picture, f"{frame.sample}: {len(frame.detections)} boxes") for frame in drawn
        )
        parts.append(details(f"{len(drawn)} pictures", pictures))
    return section("Inference", parts)


def accuracy_section(record: AccuracyRecord) -> str:
    """What was found of what is there, by class."""
    matched = record.matched
    rows = [
        (text(name), *count_columns(counts))
        for name, counts in (*matched.classes.items(), ("total", matched.total))
    ]
    parts = [
        f"<p>{badge(record.status)} {text(matched.summary())}</p>",
        paragraph(
            f"ground truth on at least {record.min_points} LiDAR points and nearer than "
            f"{record.max_range:g} m",
            "faint",
        ),
        html_table(("class", *COUNTS), rows, is_last_total=True),
        checks_table(record.checks),
    ]
    return section("Accuracy", parts)


def latencies_view(records: Sequence[LatencyRecord]) -> str:
    """Percentiles of every stage, drawn and in figures."""
    rows = [
        (
            text(record.stage),
            *(f"{value:.2f}" for value in (record.p50, record.p95, record.p99, record.max)),
            str(record.frames),
        )
        for record in records
    ]
    table = html_table(("latency [ms]", "p50", "p95", "p99", "max", "frames"), rows)
    return f'<div class="plots">{stage_bars(records)}{table}</div>'
