"""What an evaluation of 2D detections found: immutable records, ready for JSON."""

from __future__ import annotations

from awml_deploy_core.evaluation.metrics import MetricRecord

AREAS = ("small", "medium", "large")
"""Objects below 32^2 px^2, below 96^2 px^2, and the others."""


class ClassCoco(MetricRecord):
    """One class, over all areas."""

    name: str
    num_gt: int
    """Without crowds."""
    num_predictions: int
    """All boxes of the model, also those beyond the most that count in an image."""
    ap: float | None
    """Mean over the thresholds; None, not 0, if there is no ground truth."""
    ap_by_iou: dict[str, float] | None
    """By threshold, e.g. ``0.50``."""
    ar: float | None
    """Largest recall, mean over the thresholds."""


class CocoMetrics(MetricRecord):
    """All metrics of one model over all images; means leave out classes without ground truth."""

    num_frames: int
    num_gt: int
    num_predictions: int
    mean_ap: float | None
    mean_ap_by_iou: dict[str, float]
    mean_ap_by_area: dict[str, float]
    """By ``small``, ``medium`` and ``large``; those without ground truth are not there."""
    mean_ar: float | None
    classes: tuple[ClassCoco, ...]
    max_detections: int
    left_out: dict[str, int]
    """Boxes of the model of every class that the ground truth does not know."""
    library: str
    """What computed them, with its version."""
