"""Metrics of 3D detection as tables: by class, by range, by class and range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from awml_deploy_core.evaluation.metrics import DetectionMetrics, RangeMetrics, TpErrors
from awml_deploy_core.evaluation.task import Cell, MetricTable

_ERROR_COLUMNS = ("ATE [m]", "ASE", "AOE [rad]", "AVE [m/s]")


def range_name(part: RangeMetrics) -> str:
    """``0-20m``, ``60m+``."""
    return f"{part.near:g}m+" if part.far is None else f"{part.near:g}-{part.far:g}m"


def headline(metrics: DetectionMetrics) -> str:
    """The means in one line."""
    mean_ap, nds = metrics.mean_ap, metrics.nds_without_attributes
    score = (
        f"no NDS ({metrics.nds_missing_because})" if nds is None else f"NDS without attributes {nds:.3f}"
    )
    return (
        f"mAP {0.0 if mean_ap is None else mean_ap:.3f}, {score} over {metrics.num_frames} frames, "
        f"{metrics.num_gt} boxes"
    )


def metric_tables(metrics: DetectionMetrics) -> tuple[MetricTable, ...]:
    """All tables of an evaluation."""
    tables = [_class_table(metrics)]
    if any(part.num_gt or part.num_predictions for part in metrics.by_range):
        tables += [_range_table(metrics), _class_range_table(metrics)]
    return tuple(tables)


def _class_table(metrics: DetectionMetrics) -> MetricTable:
    thresholds = metrics.settings.thresholds
    rows: list[tuple[Cell, ...]] = []
    for entry in metrics.classes:
        aps = [None if entry.ap is None else entry.ap[threshold] for threshold in thresholds]
        rows.append(
            (entry.name, entry.num_gt, entry.num_predictions, *aps, entry.mean_ap, *_errors(entry.errors))
        )
    empty = [""] * len(thresholds)
    mean: tuple[Cell, ...] = (metrics.num_gt, metrics.num_predictions, *empty, metrics.mean_ap)
    rows.append(("mean", *mean, *_errors(metrics.errors)))
    columns = [f"AP {threshold:g} m" for threshold in thresholds]
    return MetricTable(
        title="by class",
        columns=("class", "GT", "pred", *columns, "AP", *_ERROR_COLUMNS),
        rows=tuple(rows),
        notes=tuple(_notes(metrics)),
    )


def _range_table(metrics: DetectionMetrics) -> MetricTable:
    return MetricTable(
        title="by range",
        columns=("range", "GT", "pred", "mAP", *_ERROR_COLUMNS),
        rows=tuple(
            (range_name(part), part.num_gt, part.num_predictions, part.mean_ap, *_errors(part.errors))
            for part in metrics.by_range
        ),
        notes=tuple(_marks(metrics, [part.errors for part in metrics.by_range])),
    )


def _class_range_table(metrics: DetectionMetrics) -> MetricTable:
    names = [entry.name for entry in metrics.classes]
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        parts = [next(e for e in part.classes if e.name == name) for part in metrics.by_range]
        cells: list[Cell] = [name]
        for entry in parts:
            cells += [entry.mean_ap, entry.num_gt]
        rows.append(tuple(cells))
    columns = ["class"]
    for part in metrics.by_range:
        columns += [f"AP {range_name(part)}", "GT"]
    return MetricTable(title="AP by class and range", columns=tuple(columns), rows=tuple(rows))


def _errors(errors: TpErrors | None) -> list[Cell]:
    if errors is None:
        return [None] * len(_ERROR_COLUMNS)
    values = (errors.ate, errors.ase, errors.aoe, errors.ave)
    if errors.measured:
        return list(values)
    return [None if value is None else f"{value:.3f}*" for value in values]


def _marks(metrics: DetectionMetrics, errors: Sequence[TpErrors | None]) -> Iterator[str]:
    if any(error is not None and not error.measured for error in errors):
        yield (
            f"* not measured: recall at {metrics.settings.tp_threshold:g} m is not above "
            f"{metrics.settings.min_recall:.0%}, for which nuScenes has errors of 1; or a mean with such"
        )


def _notes(metrics: DetectionMetrics) -> Iterator[str]:
    yield from _marks(metrics, [metrics.errors, *(entry.errors for entry in metrics.classes)])
    for reason, counts in metrics.left_out:
        if shown := ", ".join(f"{name} {count}" for name, count in counts.items() if count):
            yield f"left out, {reason.replace('_', ' ')}: {shown}"
