"""A precision study as tables, for every view."""

from __future__ import annotations

from collections.abc import Iterator

from awml_deploy_core.evaluation.task import Cell, MetricTable
from awml_deploy_core.reporting.precision_result import (
    PrecisionRecord,
    VariantBackendRecord,
    VariantRecord,
)

_DIFFERENCES = {
    "position": "position [m]",
    "size": "size [m]",
    "yaw": "yaw [rad]",
    "velocity": "velocity [m/s]",
    "score": "score",
}


def precision_tables(record: PrecisionRecord) -> tuple[MetricTable, ...]:
    """One table a backend, what differs from FP32, and how sensitive layer groups are."""
    return (*_backend_tables(record), *_difference_tables(record), *_sensitivity_tables(record))


def missing_lines(record: PrecisionRecord) -> tuple[str, ...]:
    """Variants, backends and figures that were not measured, with their reasons; each reason once."""
    lines = [f"{variant.name}: {variant.missing}" for variant in record.variants if variant.missing]
    for variant in record.variants:
        for backend in variant.backends:
            reasons = {
                "": backend.missing,
                "accuracy": backend.accuracy_missing,
                "agreement": backend.agreement_missing,
                "latency": backend.latency_missing,
            }
            lines += [
                f"{f'{what} on ' if what else ''}{backend.backend} was not measured: {reason}"
                for what, reason in reasons.items()
                if reason
            ]
    if record.sensitivity_missing:
        lines.append(f"sensitivity: {record.sensitivity_missing}")
    return tuple(dict.fromkeys(lines))


def _backend_tables(record: PrecisionRecord) -> Iterator[MetricTable]:
    places = next((variant.backends for variant in record.variants if variant.backends), ())
    for index, place in enumerate(places):
        if place.missing is not None:
            continue
        rows = [
            _row(record, variant, variant.backends[index], index)
            for variant in record.variants
            if len(variant.backends) > index
        ]
        columns = (
            "precision",
            record.figure,
            "boxes as FP32",
            "files [MB]",
            "p50 [ms]",
            "of FP32",
            "groups in FP32",
            "limits",
        )
        yield MetricTable(title=f"precisions on {place.backend}", columns=columns, rows=tuple(rows))


def _row(
    record: PrecisionRecord, variant: VariantRecord, measured: VariantBackendRecord, index: int
) -> tuple[Cell, ...]:
    accuracy, agreement = measured.accuracy, measured.agreement
    size = variant.size_bytes
    share: Cell = None
    reference = record.variants[0].backends[index].latency
    if measured.latency is not None and reference is not None:
        share = f"{measured.latency.end_to_end.p50 / reference.end_to_end.p50:.2f}"
    groups = len(variant.fp32_groups) if variant.name != "fp32" else variant.num_groups
    return (
        variant.name,
        None if accuracy is None else accuracy.figures.get(record.figure),
        None if agreement is None else agreement.share,
        None if size is None else f"{size / 1e6:.2f}",
        None if measured.latency is None else f"{measured.latency.end_to_end.p50:.1f}",
        share,
        f"{groups} of {variant.num_groups}",
        "kept" if variant.keeps_limits else "broken",
    )


def _difference_tables(record: PrecisionRecord) -> Iterator[MetricTable]:
    rows: list[tuple[Cell, ...]] = []
    for variant in record.variants[1:]:
        agreement = variant.backends[0].agreement if variant.backends else None
        if agreement is None:
            continue
        spreads = [agreement.differences.get(name) for name in _DIFFERENCES]
        cosines = [error.cosine for error in variant.tensors if error.cosine is not None]
        worst = max((error.relative_p999 for error in variant.tensors), default=None)
        rows.append(
            (
                variant.name,
                None if worst is None else f"{worst:.3f}",
                None if not cosines else f"{min(cosines):.5f}",
                *(None if item is None else f"{item.p99:.3f} / {item.max:.3f}" for item in spreads),
            )
        )
    if rows:
        columns = ("precision", "tensor p99.9", "least cosine", *_DIFFERENCES.values())
        notes = (
            "Tensors: worst output of a component fed with FP32's inputs. Matched boxes: 99th percentile / "
            "largest difference.",
        )
        yield MetricTable(title="differences from FP32", columns=columns, rows=tuple(rows), notes=notes)


def _sensitivity_tables(record: PrecisionRecord) -> Iterator[MetricTable]:
    if not record.sensitivities:
        return
    mixed = next((variant for variant in record.variants if variant.name == "mixed"), None)
    kept = set(mixed.fp32_groups) if mixed is not None and mixed.backends else None
    rows = [
        (
            item.group,
            item.component,
            len(item.layers),
            f"{item.error:.4f}",
            item.tensor,
            item.agreement,
            None
            if kept is None
            else "fp32"
            if f"{item.component}: {item.group}" in kept
            else record.mixed_of,
        )
        for item in record.sensitivities
    ]
    columns = ("layer group", "component", "layers", "error", "of", "boxes as FP32", "in mixed")
    yield MetricTable(
        title=f"layer groups, each alone in {record.mixed_of}, the most sensitive first",
        columns=columns,
        rows=tuple(rows),
        notes=("Error: 99.9th percentile of the differences over the largest magnitude of the output.",),
    )
