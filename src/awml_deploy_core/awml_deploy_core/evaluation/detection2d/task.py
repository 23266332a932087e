"""2D detection as a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from awml_deploy_core.config.evaluation_schema import Detection2dSection
from awml_deploy_core.detections2d import Detections2D, GroundTruth2D
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.agreement import box_agreement
from awml_deploy_core.evaluation.detection2d.coco import evaluate_coco
from awml_deploy_core.evaluation.detection2d.matching import compare_images, count_matches
from awml_deploy_core.evaluation.detection2d.metrics import CocoMetrics
from awml_deploy_core.evaluation.detection2d.records import (
    decode_boxes,
    decode_truth,
    encode_boxes,
    encode_truth,
)
from awml_deploy_core.evaluation.detection2d.tables import metric_tables
from awml_deploy_core.evaluation.task import AccuracyResult, AgreementResult, FrameScore, TaskFrame

Frame = TaskFrame[Detections2D, GroundTruth2D]


class Detection2dTask:
    """Implements :class:`~awml_deploy_core.evaluation.task.TaskMetric` for boxes in images.

    Args:
        section: Its configuration.
    """

    name = "detection2d"

    def __init__(self, section: Detection2dSection | None = None) -> None:
        self._section = section or Detection2dSection()

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
        """COCO's metrics; see :func:`~awml_deploy_core.evaluation.detection2d.coco.evaluate_coco`."""
        section = self._section
        metrics = evaluate_coco(frames, section.iou_thresholds, section.max_detections)
        return AccuracyResult(
            task=self.name,
            num_frames=metrics.num_frames,
            headline=(
                f"COCO mAP {0.0 if metrics.mean_ap is None else metrics.mean_ap:.3f} over "
                f"{metrics.num_frames} images, {metrics.num_gt} boxes"
            ),
            figures=dict(_figures(metrics)),
            compared={"mean_ap": "mAP", "mean_ar": "AR"},
            tables=metric_tables(metrics),
            details={"coco": metrics.model_dump(mode="json")},
        )

    def score(self, frame: Frame) -> FrameScore:
        """F1 of the boxes with enough score."""
        if frame.truth is None:
            raise EvaluationError(f"image {frame.sample_id}", "has no ground truth")
        kept = frame.output.above(self._section.frame_min_score)
        counts = count_matches(kept, frame.truth, self._section.frame_min_iou)
        return FrameScore(
            score=counts.f1, summary=f"{counts.found} found, {counts.missed} missed, {counts.false} false"
        )

    def agree(self, reference: Detections2D, output: Detections2D) -> FrameScore:
        """Share of the boxes that both backends have."""
        return compare_images(reference, output, self._section.agreement_iou).score

    def agreement(
        self, reference: str, pairs: Sequence[tuple[Detections2D, Detections2D]]
    ) -> AgreementResult:
        """Boxes matched one to one by class."""
        frames = [compare_images(a, b, self._section.agreement_iou) for a, b in pairs]
        apart = "corners {corner_px_max:.2e} px apart at most"
        return box_agreement(reference, frames, apart, unit="image")

    def records(self, output: Detections2D) -> list[dict[str, Any]]:
        """One mapping a box."""
        return output.to_records()


def _figures(metrics: CocoMetrics) -> Iterator[tuple[str, float]]:
    if metrics.mean_ap is not None:
        yield "mean_ap", metrics.mean_ap
    if metrics.mean_ar is not None:
        yield "mean_ar", metrics.mean_ar
    yield from ((f"mean_ap/iou{key}", value) for key, value in metrics.mean_ap_by_iou.items())
    yield from ((f"mean_ap/{name}", value) for name, value in metrics.mean_ap_by_area.items())
    for entry in metrics.classes:
        if entry.ap is not None:
            yield f"ap/{entry.name}", entry.ap
        if entry.ar is not None:
            yield f"ar/{entry.name}", entry.ar
        yield from ((f"ap/{entry.name}/iou{key}", value) for key, value in (entry.ap_by_iou or {}).items())
