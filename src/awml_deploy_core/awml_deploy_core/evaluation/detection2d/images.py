"""Images to evaluate: that they belong together, and the classes they have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from awml_deploy_core.detections2d import Detections2D, GroundTruth2D
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.frames import check_sample_ids, classes_of_both
from awml_deploy_core.evaluation.task import TaskFrame

Frame = TaskFrame[Detections2D, GroundTruth2D]


def truth_of(frame: Frame) -> GroundTruth2D:
    """What is right in an image.

    Raises:
        EvaluationError: Nobody knows.
    """
    if frame.truth is None:
        raise EvaluationError(f"image {frame.sample_id}", "has no ground truth")
    return frame.truth


def common_classes(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Classes that both the model and the ground truth have, in the model's order.

    Raises:
        EvaluationError: There is no image; images do not belong together; a box is not finite; or no
            class is common.
    """
    check_sample_ids("image", [frame.sample_id for frame in frames])
    first = frames[0]
    for frame in frames:
        _check(frame, "detections", frame.output, first.output, first.sample_id)
        _check(frame, "ground truth", truth_of(frame).boxes, truth_of(first).boxes, first.sample_id)
    return classes_of_both(
        first.output.class_names,
        truth_of(first).boxes.class_names,
        "Map the categories of the data set to the model's classes: class_mapping.",
    )


def _check(frame: Frame, side: str, boxes: Detections2D, expected: Detections2D, first_id: str) -> None:
    where = f"image {frame.sample_id}: {side}"
    if boxes.class_names != expected.class_names:
        raise EvaluationError(
            f"{where}: class names",
            f"are not those of {first_id}",
            got=boxes.class_names,
            expected=expected.class_names,
        )
    bad = ~(np.isfinite(boxes.boxes).all(axis=1) & np.isfinite(boxes.scores))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise EvaluationError(
            where, f"box {row} is not finite", got=boxes.boxes[row].tolist(), expected="numbers"
        )
