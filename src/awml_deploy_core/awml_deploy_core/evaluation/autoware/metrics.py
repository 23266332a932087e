"""What Autoware's metrics found: immutable records, ready for JSON."""

from __future__ import annotations

from awml_deploy_core.evaluation.metrics import MetricRecord


class AutowareClass(MetricRecord):
    """One class by one policy; None, not 0, without ground truth."""

    name: str
    num_gt: int
    num_predictions: int
    ap: dict[float, float] | None = None
    """Average precision by threshold."""
    aph: dict[float, float] | None = None
    """The same with every match weighted by its heading: 1 - difference / pi."""
    mean_ap: float | None = None
    mean_aph: float | None = None


class AutowareRange(MetricRecord):
    """Several classes; both sides' boxes belong to the range they lie in themselves."""

    near: float
    """Boxes from this distance [m] on."""
    far: float | None = None
    """Boxes nearer than this [m]; None: no limit."""
    mean_ap: float | None = None
    mean_aph: float | None = None
    classes: tuple[AutowareClass, ...]


class PolicyMetrics(MetricRecord):
    """All classes by one matching policy."""

    policy: str
    """``center_distance``, ``center_distance_bev``, ``plane_distance``, ``iou_bev`` or ``iou_3d``."""
    thresholds: tuple[float, ...]
    mean_ap: float | None = None
    mean_aph: float | None = None
    classes: tuple[AutowareClass, ...]
    by_range: tuple[AutowareRange, ...]


class AutowareMetrics(MetricRecord):
    """All policies."""

    num_frames: int
    policies: tuple[PolicyMetrics, ...]
