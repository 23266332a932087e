"""COCO's metrics of 2D boxes, computed by pycocotools.

pycocotools is the reference implementation (T.-Y. Lin et al., "Microsoft COCO: Common Objects in
Context", 2014); the means are those of its ``summarize``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections2d import Detections2D, GroundTruth2D, box_areas
from awml_deploy_core.errors import MissingDependencyError
from awml_deploy_core.evaluation.detection2d.images import Frame, common_classes, truth_of
from awml_deploy_core.evaluation.detection2d.metrics import AREAS, ClassCoco, CocoMetrics

FloatArray = npt.NDArray[np.float64]

_ALL_AREAS = 0


def evaluate_coco(
    frames: Sequence[Frame], iou_thresholds: Sequence[float], max_detections: int
) -> CocoMetrics:
    """Measure images that all have ground truth.

    Classes are the same if their names are; boxes of the model of a class that the ground truth does
    not have are left out.

    Args:
        frames: One or more.
        iou_thresholds: Overlaps from which on a box is a match, ascending.
        max_detections: Best boxes of a class and image that count.

    Raises:
        EvaluationError: The images do not belong together, a box is not finite, or there is nothing
            to measure.
        MissingDependencyError: pycocotools is not installed.
    """
    classes = common_classes(frames)
    coco_type, eval_type = _library()
    truths = _dataset(coco_type, classes, [_truth_entries(frame, classes) for frame in frames])
    found = _dataset(coco_type, classes, [_box_entries(frame.output, classes) for frame in frames])
    with redirect_stdout(io.StringIO()):
        evaluation = eval_type(truths, found, "bbox")
        evaluation.params.iouThrs = np.asarray(iou_thresholds, np.float64)
        evaluation.params.maxDets = [max_detections]
        evaluation.evaluate()
        evaluation.accumulate()
    # [thresholds, recalls, classes, areas, limits] and [thresholds, classes, areas, limits].
    precision = np.asarray(evaluation.eval["precision"], np.float64)[..., 0]
    recall = np.asarray(evaluation.eval["recall"], np.float64)[..., 0]
    keys = [f"{threshold:.2f}" for threshold in iou_thresholds]
    rows = tuple(
        _class_row(
            name, label, frames, keys, precision[:, :, label, _ALL_AREAS], recall[:, label, _ALL_AREAS]
        )
        for label, name in enumerate(classes)
    )
    by_area = {name: _mean(precision[..., place]) for place, name in enumerate(AREAS, 1)}
    over_all = precision[..., _ALL_AREAS]
    by_iou = {key: _mean(values) for key, values in zip(keys, over_all, strict=True)}
    return CocoMetrics(
        num_frames=len(frames),
        num_gt=sum(row.num_gt for row in rows),
        num_predictions=sum(row.num_predictions for row in rows),
        mean_ap=_mean(over_all),
        mean_ap_by_iou={key: value for key, value in by_iou.items() if value is not None},
        mean_ap_by_area={name: value for name, value in by_area.items() if value is not None},
        mean_ar=_mean(recall[..., _ALL_AREAS]),
        classes=rows,
        max_detections=max_detections,
        left_out=_left_out(frames, classes),
        library=f"pycocotools {version('pycocotools')}",
    )


def _library() -> tuple[Any, Any]:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingDependencyError(
            "average precision of 2D boxes",
            "needs pycocotools",
            got=error,
            hint="pip install pycocotools, or python3-pycocotools of the distribution.",
        ) from error
    return COCO, COCOeval


def _mean(values: FloatArray) -> float | None:
    """Mean of what is there; the library writes -1 where nothing is to be found."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _class_row(
    name: str,
    label: int,
    frames: Sequence[Frame],
    keys: Sequence[str],
    precision: FloatArray,
    recall: FloatArray,
) -> ClassCoco:
    means = [_mean(values) for values in precision]
    by_iou = {key: value for key, value in zip(keys, means, strict=True) if value is not None}
    return ClassCoco(
        name=name,
        num_gt=sum(_count(frame.truth, name) for frame in frames),
        num_predictions=sum(frame.output.count_by_class().get(name, 0) for frame in frames),
        ap=_mean(precision),
        ap_by_iou=by_iou or None,
        ar=_mean(recall),
    )


def _count(truth: GroundTruth2D | None, name: str) -> int:
    if truth is None:
        return 0
    return truth.boxes.select(np.flatnonzero(~truth.is_crowd)).count_by_class().get(name, 0)


def _left_out(frames: Sequence[Frame], classes: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for frame in frames:
        for name, count in frame.output.count_by_class().items():
            if name not in classes:
                counts[name] = counts.get(name, 0) + count
    return counts


def _dataset(coco_type: Any, classes: Sequence[str], images: Sequence[Iterator[dict[str, Any]]]) -> Any:
    """An index of the library; identities start at 1, as it takes 0 for no match."""
    entries: list[dict[str, Any]] = []
    for image, rows in enumerate(images):
        entries += [
            {**row, "image_id": image, "id": len(entries) + place} for place, row in enumerate(rows, 1)
        ]
    dataset = coco_type()
    dataset.dataset = {
        "images": [{"id": image} for image in range(len(images))],
        "categories": [{"id": label, "name": name} for label, name in enumerate(classes)],
        "annotations": entries,
    }
    with redirect_stdout(io.StringIO()):
        dataset.createIndex()
    return dataset


def _box_entries(boxes: Detections2D, classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The boxes of the classes as the library wants them: left, top, width, height."""
    corners = boxes.boxes.astype(np.float64)
    sides = corners[:, 2:] - corners[:, :2]
    for index, area in enumerate(box_areas(corners)):
        name = boxes.class_names[int(boxes.labels[index])]
        if name in classes:
            yield {
                "category_id": classes.index(name),
                "bbox": [*corners[index, :2].tolist(), *sides[index].tolist()],
                "area": float(area),
                "iscrowd": 0,
                "score": float(boxes.scores[index]),
            }


def _truth_entries(frame: Frame, classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    truth = truth_of(frame)
    named = [truth.boxes.class_names[int(label)] in classes for label in truth.boxes.labels]
    kept = np.flatnonzero(named)
    for index, entry in zip(kept, _box_entries(truth.boxes, classes), strict=True):
        area = entry["area"] if truth.areas is None else float(truth.areas[index])
        yield {**entry, "area": area, "iscrowd": int(truth.is_crowd[index])}
