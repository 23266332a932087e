from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images_of_boxes import CLASSES, Frame, boxes2d, random_images, truth2d
from pydantic import ValidationError

from awml_deploy_core.config.evaluation_schema import Detection2dSection
from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.errors import EvaluationError, MissingDependencyError
from awml_deploy_core.evaluation.detection2d import Detection2dTask
from awml_deploy_core.evaluation.task import TaskFrame

pytest.importorskip("pycocotools")

TASK = Detection2dTask()
SQUARE = [10, 10, 50, 50]


def by_files(frames: list[Frame], folder: Path) -> Any:
    """What COCO's own tool says of annotation and result files with the same boxes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, frame in enumerate(frames, 1):
        assert frame.truth is not None
        assert frame.truth.areas is not None
        for side, boxes in ((annotations, frame.truth.boxes), (results, frame.output)):
            for index, (left, top, right, bottom) in enumerate(boxes.boxes.tolist()):
                entry = {
                    "image_id": image,
                    "category_id": int(boxes.labels[index]) + 10,
                    "bbox": [left, top, right - left, bottom - top],
                    "score": float(boxes.scores[index]),
                }
                if side is annotations:
                    area, crowd = frame.truth.areas[index], frame.truth.is_crowd[index]
                    entry |= {"id": len(side) + 1, "area": float(area), "iscrowd": int(crowd)}
                side.append(entry)
    categories = [{"id": label + 10, "name": name} for label, name in enumerate(CLASSES)]
    images = [{"id": image} for image in range(1, len(frames) + 1)]
    (folder / "truth.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    (folder / "found.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "truth.json"))
        evaluation = COCOeval(truth, truth.loadRes(str(folder / "found.json")), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def test_figures_are_those_of_cocos_own_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = random_images(40)
    oracle = by_files(frames, tmp_path)
    result = TASK.evaluate(frames)
    figures = result.figures
    names = ("mean_ap", "mean_ap/iou0.50", "mean_ap/iou0.75", "mean_ap/small", "mean_ap/medium")
    names += ("mean_ap/large",)
    assert [figures[name] for name in names] == pytest.approx(oracle.stats[:6].tolist(), abs=1e-12)
    assert figures["mean_ar"] == pytest.approx(oracle.stats[8], abs=1e-12)
    assert 0.1 < figures["mean_ap"] < 0.8
    precision = oracle.eval["precision"][:, :, :, 0, -1]
    for label, name in enumerate(CLASSES):
        assert figures[f"ap/{name}"] == pytest.approx(precision[:, :, label].mean(), abs=1e-12)
        assert figures[f"ap/{name}/iou0.50"] == pytest.approx(precision[0, :, label].mean(), abs=1e-12)
    assert "COCO mAP" in result.headline
    assert [table.title for table in result.tables] == ["by class", "by area of the object"]
    # The library prints.
    assert capsys.readouterr().out == ""


def test_thresholds_and_the_most_boxes_are_configured() -> None:
    frames = random_images(10)
    one, many = (
        Detection2dTask(Detection2dSection(iou_thresholds=(0.3,), max_detections=count))
        .evaluate(frames)
        .figures
        for count in (1, 100)
    )
    assert one["mean_ap"] == one["mean_ap/iou0.30"]
    assert one["mean_ar"] < many["mean_ar"]
    assert "mean_ap/iou0.50" not in one
    with pytest.raises(ValidationError, match="ascending"):
        Detection2dSection(iou_thresholds=(0.5, 0.3))


def test_right_boxes_and_classes_without_any() -> None:
    there = boxes2d([SQUARE, [100, 100, 140, 180]], [0, 1])
    result = TASK.evaluate([TaskFrame("a", there, truth2d(there))])
    assert result.figures["mean_ap"] == pytest.approx(1.0)
    assert result.figures["mean_ar"] == pytest.approx(1.0)
    assert "ap/pedestrian" not in result.figures
    (row,) = (row for row in result.tables[0].rows if row[0] == "pedestrian")
    assert row[1:4] == (0, 0, None)
    nothing = TASK.evaluate([TaskFrame("a", boxes2d([]), truth2d(there))])
    assert nothing.figures["mean_ap"] == 0.0


def test_classes_are_the_same_by_name() -> None:
    there = boxes2d([SQUARE], [2])
    other = Detections2D(there.boxes, there.scores, np.zeros(1, np.int32), ("pedestrian", "tram"))
    trams = replace(other, labels=np.ones(1, np.int32))
    frames = [TaskFrame("a", other, truth2d(there)), TaskFrame("b", trams, truth2d(there))]
    result = TASK.evaluate(frames)
    assert result.figures["ap/pedestrian"] == pytest.approx(0.5, abs=0.01)
    assert "tram 1" in result.tables[0].notes[1]
    unknown = replace(other, class_names=("tram", "bicycle"))
    with pytest.raises(EvaluationError, match="none in common"):
        TASK.evaluate([TaskFrame("a", unknown, truth2d(there))])


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ([], "there are none"),
        ([TaskFrame("a", boxes2d([SQUARE]))], "has no ground truth"),
        ([TaskFrame("a", boxes2d([]), truth2d(boxes2d([])))] * 2, "occurs twice"),
        ([TaskFrame("a", boxes2d([[0, 0, np.nan, 1]]), truth2d(boxes2d([])))], "box 0 is not finite"),
    ],
)
def test_what_cannot_be_measured(frames: list[Frame], problem: str) -> None:
    with pytest.raises(EvaluationError, match=problem):
        TASK.evaluate(frames)


def test_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(MissingDependencyError, match="pip install pycocotools"):
        TASK.evaluate(random_images(2))


def test_frames_are_kept_without_loss() -> None:
    for frame in random_images(3):
        kept = TASK.decode(frame.sample_id, json.loads(json.dumps(TASK.encode(frame))))
        assert np.array_equal(kept.output.boxes, frame.output.boxes)
        assert np.array_equal(kept.output.scores, frame.output.scores)
        assert kept.truth is not None
        assert frame.truth is not None
        assert np.array_equal(kept.truth.areas, frame.truth.areas)
        assert np.array_equal(kept.truth.is_crowd, frame.truth.is_crowd)
    unlabelled = TaskFrame("a", boxes2d([]))
    assert TASK.decode("a", TASK.encode(unlabelled)).truth is None


@pytest.mark.parametrize(
    ("found", "summary", "score"),
    [
        (boxes2d([SQUARE, [60, 60, 90, 90]], scores=[0.9, 0.8]), "1 found, 0 missed, 1 false", 2 / 3),
        (boxes2d([SQUARE], [1]), "0 found, 1 missed, 1 false", 0.0),
        (boxes2d([SQUARE], scores=[0.2]), "0 found, 1 missed, 0 false", 0.0),
        (boxes2d([SQUARE, [210, 210, 230, 230]]), "1 found, 0 missed, 0 false", 1.0),
    ],
)
def test_an_image_is_judged_by_its_boxes(found: Detections2D, summary: str, score: float) -> None:
    there = truth2d(boxes2d([SQUARE, [200, 200, 300, 300]]), [False, True])
    judged = TASK.score(TaskFrame("a", found, there))
    assert (judged.summary, judged.score) == (summary, pytest.approx(score))


def test_agreement_of_two_backends() -> None:
    a = boxes2d([SQUARE, [60, 60, 90, 90]], scores=[0.9, 0.8])
    b = boxes2d([[10, 10, 50, 50.5]], scores=[0.85])
    assert TASK.agree(a, b).score == pytest.approx(2 / 3)
    found = TASK.agreement("pytorch:cpu", [(a, b), (a, a)])
    assert found.figures["boxes_matched"] == 3
    assert found.figures["boxes_only_in_reference"] == 1
    assert found.figures["corner_px_max"] == pytest.approx(0.5)
    assert found.figures["score_max"] == pytest.approx(0.05)
    nothing = boxes2d([])
    assert TASK.agree(nothing, nothing).score == 1.0
    with pytest.raises(EvaluationError, match="no image"):
        TASK.agreement("pytorch:cpu", [])
    with pytest.raises(EvaluationError, match="class names"):
        TASK.agree(a, Detections2D.empty(("a",)))
