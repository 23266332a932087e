"""Autoware's metrics as figures and tables."""

from __future__ import annotations

from collections.abc import Iterator

from awml_deploy_core.evaluation.autoware.metrics import AutowareMetrics, AutowareRange, PolicyMetrics
from awml_deploy_core.evaluation.task import Cell, MetricTable

_UNITS = {"iou_bev": "", "iou_3d": ""}


def autoware_figures(metrics: AutowareMetrics) -> Iterator[tuple[str, float]]:
    """``autoware/<policy>/mean_ap``, ``.../mean_aph``, ``.../ap/<class>``, each also by range."""
    for policy in metrics.policies:
        name = f"autoware/{policy.policy}"
        yield from _summary(name, "", policy)
        for part in policy.by_range:
            yield from _summary(name, f"/{_range_name(part)}", part)


def _summary(name: str, ending: str, part: PolicyMetrics | AutowareRange) -> Iterator[tuple[str, float]]:
    for figure in ("mean_ap", "mean_aph"):
        if (value := getattr(part, figure)) is not None:
            yield f"{name}/{figure}{ending}", value
    for entry in part.classes:
        if entry.mean_ap is not None and entry.mean_aph is not None:
            yield f"{name}/ap/{entry.name}{ending}", entry.mean_ap
            yield f"{name}/aph/{entry.name}{ending}", entry.mean_aph


def autoware_tables(metrics: AutowareMetrics) -> tuple[MetricTable, ...]:
    """One table a policy: classes, then ranges."""
    return tuple(_table(policy) for policy in metrics.policies)


def _table(policy: PolicyMetrics) -> MetricTable:
    unit = _UNITS.get(policy.policy, " m")
    rows: list[tuple[Cell, ...]] = []
    for entry in policy.classes:
        aps = [None if entry.ap is None else entry.ap[threshold] for threshold in policy.thresholds]
        parts = [next(e for e in part.classes if e.name == entry.name) for part in policy.by_range]
        by_range = [part.mean_ap for part in parts]
        rows.append((entry.name, entry.num_gt, *aps, entry.mean_ap, entry.mean_aph, *by_range))
    empty = [""] * len(policy.thresholds)
    ranges = [part.mean_ap for part in policy.by_range]
    num_gt = sum(entry.num_gt for entry in policy.classes)
    rows.append(("mean", num_gt, *empty, policy.mean_ap, policy.mean_aph, *ranges))
    return MetricTable(
        title=f"Autoware, {policy.policy.replace('_', ' ')}",
        columns=(
            "class",
            "GT",
            *(f"AP {threshold:g}{unit}" for threshold in policy.thresholds),
            "AP",
            "APH",
            *(f"AP {_range_name(part)}" for part in policy.by_range),
        ),
        rows=tuple(rows),
    )


def _range_name(part: AutowareRange) -> str:
    return f"{part.near:g}m+" if part.far is None else f"{part.near:g}-{part.far:g}m"
