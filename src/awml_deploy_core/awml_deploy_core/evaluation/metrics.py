"""What an evaluation of 3D detections found: immutable records, ready for JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from awml_deploy_core.evaluation.settings import DetectionMetricSettings


class MetricRecord(BaseModel):
    """Base of the records; a figure that is not finite is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TpErrors(MetricRecord):
    """Errors of matched detections, averaged over the recalls reached; smaller is better."""

    ate: float
    """Translation: distance of the centres seen from above [m]."""
    ase: float
    """Scale: 1 - intersection over union of both boxes laid on each other, in [0, 1]."""
    aoe: float
    """Orientation: difference of the heading [rad], in [0, pi]."""
    ave: float | None
    """Velocity: length of the difference seen from above [m/s]; None if the model or the ground truth
    has no velocities. If only those of this class are unknown, 1, as nuscenes-devkit has it."""
    measured: bool = True
    """False if recall stayed at or below the minimum: errors are then 1 by nuScenes' convention."""


class ClassMetrics(MetricRecord):
    """One class."""

    name: str
    num_gt: int
    num_predictions: int
    ap: dict[float, float] | None
    """Average precision by distance threshold [m]; None, not 0, if there is no ground truth."""
    mean_ap: float | None
    """Mean of ``ap``."""
    errors: TpErrors | None
    """None if there is no ground truth."""


class MetricSummary(MetricRecord):
    """Several classes and their means, into which classes without ground truth do not enter."""

    num_gt: int
    num_predictions: int
    mean_ap: float | None
    """None if no class has ground truth."""
    errors: TpErrors | None
    """Means over classes; ``measured`` only if those of every class are."""
    classes: tuple[ClassMetrics, ...]


class RangeMetrics(MetricSummary):
    """One range of distances from the origin of the cloud's frame, seen from above.

    Ground truth belongs to the range it lies in, a matched detection to that of its ground truth, an
    unmatched detection to that it lies in itself. So a box near a border is no error of either range
    for being detected on the other side. ``num_predictions`` is by the matches that the errors are
    taken from.
    """

    near: float
    """Boxes from this distance [m] on."""
    far: float | None
    """Boxes nearer than this [m]; None: no limit."""


class LeftOut(MetricRecord):
    """Boxes that were not evaluated, by class name."""

    ground_truth_of_unknown_class: dict[str, int]
    """Every class that the model does not have, those without a box included."""
    detections_of_unknown_class: dict[str, int]
    """Every class that the ground truth does not have, those without a box included."""
    ground_truth_out_of_range: dict[str, int]
    detections_out_of_range: dict[str, int]
    ground_truth_without_points: dict[str, int]
    """Within range, with fewer LiDAR points than required."""


class DetectionMetrics(MetricSummary):
    """All metrics of one model over all frames."""

    num_frames: int
    nds_without_attributes: float | None
    """(5 mAP + sum over ATE, ASE, AOE, AVE of 1 - min(1, error)) / 9. Not the NDS of the nuScenes leader
    board, which has attributes as a fifth error. None if an error is, see ``nds_missing_because``."""
    nds_with_attribute_error_of_one: float | None
    """nuscenes-devkit's NDS of detections with no right attribute: (5 mAP + the same sum) / 10."""
    nds_missing_because: str | None
    """Why there is no NDS, if there is none."""
    by_range: tuple[RangeMetrics, ...]
    left_out: LeftOut
    settings: DetectionMetricSettings
