"""Detection metrics for people: one table by class, the means, one table by range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from awml_deploy_core.evaluation import ClassMetrics, DetectionMetrics, TpErrors
from awml_deploy_core.evaluation.metrics import MetricSummary

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_NONE = "-"
# Errors that nuScenes' convention gives where too little is found to measure them.
_BY_CONVENTION = "*"
_WIDEST = 400
_ERROR_COLUMNS = ("ATE\nm", "ASE\n", "AOE\nrad", "AVE\nm/s")


def print_detection_metrics(metrics: DetectionMetrics, console: Console) -> None:
    """Print the metrics of every class, their means and scores, those by range, and what was left out."""
    print_whole(_class_table(metrics), console)
    _print_line(_scores(metrics), console)
    if any(part.num_gt or part.num_predictions for part in metrics.by_range):
        print_whole(_range_table(metrics), console)
    shown = [metrics, *metrics.by_range]
    if any(error and not error.measured for part in shown for error in _all_errors(part)):
        _print_line(
            f"{_BY_CONVENTION} not measured: recall at {metrics.settings.tp_threshold:g} m is not above "
            f"{metrics.settings.min_recall:.0%}, for which nuScenes has errors of 1; or a mean with such",
            console,
        )
    for reason, counts in metrics.left_out:
        if counts:
            text = ", ".join(f"{name} {count}" for name, count in counts.items())
            _print_line(f"left out, {reason.replace('_', ' ')}: {text}", console)


def _print_line(text: str, console: Console) -> None:
    console.print(text, markup=False, soft_wrap=True, highlight=False)


def print_whole(table: Table, console: Console) -> None:
    """Print a table no narrower than its figures: in a log of 80 columns, cut ones would be lost."""
    from rich.measure import Measurement

    needed = Measurement.get(console, console.options.update(width=_WIDEST), table).maximum
    # Rich clamps the width of what it prints to the console's, but not a table's own.
    table.width = needed
    console.print(table, crop=False, no_wrap=True, overflow="ignore")


def _class_table(metrics: DetectionMetrics) -> Table:
    thresholds = metrics.settings.thresholds
    table = _table(
        "class", [*(f"AP at\n{threshold:g} m" for threshold in thresholds), "AP", *_ERROR_COLUMNS]
    )
    for entry in metrics.classes:
        table.add_row(*_class_row(entry, thresholds))
    table.add_section()
    # The mean of one threshold over classes is no figure of nuScenes, and would crowd the one that is.
    empty = [""] * len(thresholds)
    table.add_row(
        "mean",
        str(metrics.num_gt),
        str(metrics.num_predictions),
        *empty,
        _figure(metrics.mean_ap),
        *_errors(metrics.errors),
        style="bold",
    )
    return table


def _class_row(entry: ClassMetrics, thresholds: Sequence[float]) -> list[str]:
    return [
        _plain(entry.name),
        str(entry.num_gt),
        str(entry.num_predictions),
        *(_figure(None if entry.ap is None else entry.ap[threshold]) for threshold in thresholds),
        _figure(entry.mean_ap),
        *_errors(entry.errors),
    ]


def _scores(metrics: DetectionMetrics) -> str:
    head = f"{metrics.num_frames} frames, mAP {_figure(metrics.mean_ap)}, "
    if metrics.nds_without_attributes is None:
        return f"{head}no NDS: {metrics.nds_missing_because}"
    return (
        f"{head}NDS without attributes {_figure(metrics.nds_without_attributes)} "
        f"(nuScenes NDS with attribute error 1: {_figure(metrics.nds_with_attribute_error_of_one)})"
    )


def _range_table(metrics: DetectionMetrics) -> Table:
    table = _table("range", ["mAP", *_ERROR_COLUMNS])
    for part in metrics.by_range:
        name = f"{part.near:g} m and more" if part.far is None else f"{part.near:g} to {part.far:g} m"
        table.add_row(
            name,
            str(part.num_gt),
            str(part.num_predictions),
            _figure(part.mean_ap),
            *_errors(part.errors),
        )
    return table


def _table(first: str, columns: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for column in ("GT", "pred", *columns):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _errors(errors: TpErrors | None) -> list[str]:
    if errors is None:
        return [_NONE] * len(_ERROR_COLUMNS)
    mark = "" if errors.measured else _BY_CONVENTION
    values = (errors.ate, errors.ase, errors.aoe, errors.ave)
    return [_NONE if value is None else f"{value:.3f}{mark}" for value in values]


def _all_errors(part: MetricSummary) -> list[TpErrors | None]:
    return [part.errors, *(entry.errors for entry in part.classes)]


def _figure(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
