"""COCO's metrics as tables."""

from __future__ import annotations

from collections.abc import Mapping

from awml_deploy_core.evaluation.detection2d.metrics import AREAS, CocoMetrics
from awml_deploy_core.evaluation.task import Cell, MetricTable

_SHOWN = ("0.50", "0.75")
"""Thresholds with a column of their own, where they are measured."""


def metric_tables(metrics: CocoMetrics) -> tuple[MetricTable, ...]:
    """By class, and by the area of the objects."""
    shown = [key for key in metrics.mean_ap_by_iou if key in _SHOWN]

    def thresholds(values: Mapping[str, float] | None) -> list[Cell]:
        return [(values or {}).get(key) for key in shown]

    rows: list[tuple[Cell, ...]] = [
        (entry.name, entry.num_gt, entry.num_predictions, entry.ap, *thresholds(entry.ap_by_iou), entry.ar)
        for entry in metrics.classes
    ]
    means = (metrics.mean_ap, *thresholds(metrics.mean_ap_by_iou), metrics.mean_ar)
    rows.append(("mean", metrics.num_gt, metrics.num_predictions, *means))
    by_class = MetricTable(
        title="by class",
        columns=("class", "GT", "pred", "AP", *(f"AP {key}" for key in shown), "AR"),
        rows=tuple(rows),
        notes=_notes(metrics),
    )
    by_area = MetricTable(
        title="by area of the object",
        columns=("", *AREAS),
        rows=(("mAP", *(metrics.mean_ap_by_area.get(name) for name in AREAS)),),
    )
    return by_class, by_area


def _notes(metrics: CocoMetrics) -> tuple[str, ...]:
    notes = [f"by {metrics.library}, at most {metrics.max_detections} boxes of a class in an image"]
    if shown := ", ".join(f"{name} {count}" for name, count in metrics.left_out.items() if count):
        notes.append(f"left out, detections of a class that the ground truth does not have: {shown}")
    return tuple(notes)
