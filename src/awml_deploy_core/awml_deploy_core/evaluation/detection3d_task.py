"""3D detection as a task of the evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from awml_deploy_core.config.evaluation_schema import Detection3dSection
from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.agreement import box_agreement, compare_boxes
from awml_deploy_core.evaluation.autoware import evaluate_autoware
from awml_deploy_core.evaluation.autoware.tables import autoware_figures, autoware_tables
from awml_deploy_core.evaluation.box_records import decode_boxes, decode_truth, encode_boxes, encode_truth
from awml_deploy_core.evaluation.detection3d import evaluate_detections
from awml_deploy_core.evaluation.detection3d_tables import headline, metric_tables, range_name
from awml_deploy_core.evaluation.frames import EvaluatedFrame, filter_frame
from awml_deploy_core.evaluation.metrics import DetectionMetrics, MetricSummary
from awml_deploy_core.evaluation.precision_recall import match_frame
from awml_deploy_core.evaluation.settings import DetectionMetricSettings
from awml_deploy_core.evaluation.task import AccuracyResult, AgreementResult, FrameScore, TaskFrame
from awml_deploy_core.ground_truth import GroundTruth

Frame = TaskFrame[Detections, GroundTruth]

_ERRORS = ("ate", "ase", "aoe", "ave")


class Detection3dTask:
    """Implements :class:`~awml_deploy_core.evaluation.task.TaskMetric` for boxes in 3D.

    Args:
        section: Its configuration.

    Raises:
        ParameterError: Values of the configuration contradict each other.
    """

    name = "detection3d"

    def __init__(self, section: Detection3dSection | None = None) -> None:
        self._section = section or Detection3dSection()
        keys = set(DetectionMetricSettings.__dataclass_fields__)
        self.settings = DetectionMetricSettings(**self._section.model_dump(include=keys))

    def encode(self, frame: Frame) -> dict[str, Any]:
        """Boxes and ground truth as lists."""
        truth = None if frame.truth is None else encode_truth(frame.truth)
        return {"output": encode_boxes(frame.output), "truth": truth}

    def decode(self, sample_id: str, content: Mapping[str, Any]) -> Frame:
        """The inverse of :meth:`encode`."""
        truth = content["truth"]
        output = decode_boxes(content["output"])
        return TaskFrame(sample_id, output, None if truth is None else decode_truth(truth))

    def evaluate(self, frames: Sequence[Frame]) -> AccuracyResult:
        """Metrics of nuScenes and of Autoware.

        See :func:`~awml_deploy_core.evaluation.evaluate_detections` and
        :func:`~awml_deploy_core.evaluation.autoware.evaluate_autoware`.
        """
        evaluated = [_evaluated(frame) for frame in frames]
        metrics = evaluate_detections(evaluated, self.settings)
        autoware = evaluate_autoware(evaluated, self._section.autoware.model_dump(), self.settings)
        return AccuracyResult(
            task=self.name,
            num_frames=metrics.num_frames,
            headline=headline(metrics),
            figures=dict(_figures(metrics)) | dict(autoware_figures(autoware)),
            compared={"mean_ap": "mAP", "nds_without_attributes": "NDS w/o attributes"},
            tables=(*metric_tables(metrics), *autoware_tables(autoware)),
            details={
                "nuscenes": metrics.model_dump(mode="json"),
                "autoware": autoware.model_dump(mode="json"),
            },
        )

    def judged(self, frame: Frame) -> Frame:
        """The boxes that decide the score of a frame: with enough score, in range, on enough points."""
        confident = frame.output.above(self._section.frame_min_score)
        if frame.truth is None:
            return TaskFrame(frame.sample_id, confident)
        kept = filter_frame(EvaluatedFrame(frame.sample_id, confident, frame.truth), self.settings)
        return TaskFrame(frame.sample_id, kept.detections, kept.ground_truth)

    def score(self, frame: Frame) -> FrameScore:
        """F1 of the boxes that :meth:`judged` leaves."""
        kept = _evaluated(self.judged(frame))
        distance = self.settings.tp_threshold
        total = match_frame(kept.detections, kept.ground_truth, max_distance=distance).total
        wrong = total.false_positives + total.false_negatives
        found = 2 * total.true_positives
        return FrameScore(
            score=found / (found + wrong) if found + wrong else 1.0,
            summary=(
                f"{total.true_positives} found, {total.false_negatives} missed, "
                f"{total.false_positives} false"
            ),
        )

    def agree(self, reference: Detections, output: Detections) -> FrameScore:
        """Share of the boxes that both backends have."""
        return compare_boxes(reference, output, self._section.agreement_distance).score

    def agreement(self, reference: str, pairs: Sequence[tuple[Detections, Detections]]) -> AgreementResult:
        """Boxes matched one to one by class; see :mod:`awml_deploy_core.evaluation.agreement`."""
        distance = self._section.agreement_distance
        frames = [compare_boxes(a, b, distance) for a, b in pairs]
        return box_agreement(reference, frames, "centres {center_m_mean:.2e} m apart on average")

    def records(self, output: Detections) -> list[dict[str, Any]]:
        """One mapping a box."""
        return output.to_records()


def _evaluated(frame: Frame) -> EvaluatedFrame:
    if frame.truth is None:
        raise EvaluationError(f"frame {frame.sample_id}", "has no ground truth")
    return EvaluatedFrame(frame.sample_id, frame.output, frame.truth)


def _figures(metrics: DetectionMetrics) -> Iterator[tuple[str, float]]:
    if metrics.nds_without_attributes is not None:
        yield "nds_without_attributes", metrics.nds_without_attributes
    yield from _summary_figures(metrics, "")
    for part in metrics.by_range:
        yield from _summary_figures(part, f"/{range_name(part)}")


def _summary_figures(summary: MetricSummary, ending: str) -> Iterator[tuple[str, float]]:
    if summary.mean_ap is not None:
        yield f"mean_ap{ending}", summary.mean_ap
    for name in _ERRORS:
        if summary.errors is not None and (value := getattr(summary.errors, name)) is not None:
            yield f"{name}{ending}", value
    for entry in summary.classes:
        if entry.mean_ap is not None:
            yield f"ap/{entry.name}{ending}", entry.mean_ap
