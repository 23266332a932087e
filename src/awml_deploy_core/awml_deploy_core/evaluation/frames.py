"""Frames to evaluate: checked together, filtered one by one, pooled by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.matching import FloatArray, IndexArray
from awml_deploy_core.evaluation.settings import DetectionMetricSettings
from awml_deploy_core.ground_truth import GroundTruth


@dataclass(frozen=True, eq=False)
class EvaluatedFrame:
    """What a model found in a frame and what is there, both in the frame of its cloud.

    The class lists of both sides may differ; classes are the same if their names are.
    """

    sample_id: str
    detections: Detections
    ground_truth: GroundTruth


@dataclass(frozen=True, eq=False)
class PooledBoxes:
    """Boxes of all frames in one array."""

    boxes: Detections
    frames: IndexArray
    """int64 [N]: position of each box's frame."""

    def select(self, index: npt.NDArray[Any]) -> PooledBoxes:
        """Boxes chosen by an index or boolean array, in its order."""
        return PooledBoxes(self.boxes.select(index), self.frames[index])

    def of_class(self, name: str) -> PooledBoxes:
        """The boxes of one class."""
        return self.select(np.flatnonzero(self.boxes.labels == self.boxes.class_names.index(name)))


def pool(parts: Sequence[Detections]) -> PooledBoxes:
    """Boxes of one or more frames behind each other."""
    first = parts[0]
    names = ("centers", "sizes", "yaws", "velocities", "scores", "labels")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return PooledBoxes(
        Detections(**columns, class_names=first.class_names, has_velocity=first.has_velocity),
        np.repeat(np.arange(len(parts), dtype=np.int64), [len(part) for part in parts]),
    )


def sensor_distances(boxes: Detections) -> FloatArray:
    """float64 [N]: distance of the centres from the frame's origin, seen from above [m]."""
    distances: FloatArray = np.linalg.norm(boxes.centers[:, :2].astype(np.float64), axis=1)
    return distances


def within_limits(boxes: Detections, settings: DetectionMetricSettings) -> npt.NDArray[np.bool_]:
    """bool [N]: whether each box is nearer than its class is evaluated to."""
    limits = np.array([settings.distance_limit(name) for name in boxes.class_names], np.float64)
    inside: npt.NDArray[np.bool_] = sensor_distances(boxes) < limits[boxes.labels]
    return inside


def has_points(ground_truth: GroundTruth, settings: DetectionMetricSettings) -> npt.NDArray[np.bool_]:
    """bool [M]: whether each box has enough LiDAR points, or an unknown number of them."""
    points = ground_truth.num_points
    enough: npt.NDArray[np.bool_] = (points < 0) | (points >= settings.min_points)
    return enough


def filter_frame(frame: EvaluatedFrame, settings: DetectionMetricSettings) -> EvaluatedFrame:
    """The frame with the boxes that are evaluated: within range, ground truth with points on it."""
    truth = frame.ground_truth
    kept = within_limits(truth.boxes, settings) & has_points(truth, settings)
    return EvaluatedFrame(
        frame.sample_id,
        frame.detections.select(within_limits(frame.detections, settings)),
        truth.select(kept),
    )


def common_classes(frames: Sequence[EvaluatedFrame]) -> tuple[str, ...]:
    """Classes that both the model and the ground truth have, in the model's order.

    Raises:
        EvaluationError: There is no frame; frames do not belong together; a box is not finite; or no
            class is common.
    """
    check_sample_ids("frame", [frame.sample_id for frame in frames])
    first = frames[0]
    for frame in frames:
        for side, boxes, expected in (
            ("detections", frame.detections, first.detections),
            ("ground truth", frame.ground_truth.boxes, first.ground_truth.boxes),
        ):
            _check_alike(f"frame {frame.sample_id}: {side}", boxes, expected, first.sample_id)
        _check_finite(frame)
    return classes_of_both(
        first.detections.class_names,
        first.ground_truth.boxes.class_names,
        "Map the class names of the data set to the model's.",
    )


def check_sample_ids(unit: str, sample_ids: Sequence[str]) -> None:
    """Raise EvaluationError if there is no sample, or one occurs twice; ``unit`` is what one is called."""
    if not sample_ids:
        raise EvaluationError(f"{unit}s", "there are none to evaluate", expected="at least one")
    seen: set[str] = set()
    for sample_id in sample_ids:
        if sample_id in seen:
            raise EvaluationError(f"{unit} {sample_id}", "occurs twice", expected="unique sample ids")
        seen.add(sample_id)


def classes_of_both(model: Sequence[str], truth: Sequence[str], hint: str) -> tuple[str, ...]:
    """The model's classes that the ground truth has too.

    Raises:
        EvaluationError: There is none; ``hint`` says what to do.
    """
    common = tuple(name for name in model if name in truth)
    if not common:
        raise EvaluationError(
            "classes",
            "the model and the ground truth have none in common",
            got=model,
            expected=f"some of {truth}",
            hint=hint,
        )
    return common


def _check_alike(subject: str, boxes: Detections, expected: Detections, first_id: str) -> None:
    hint = f"All frames of an evaluation are of one model and one data set; the first is {first_id}."
    if boxes.class_names != expected.class_names:
        raise EvaluationError(
            f"{subject}: class names",
            "differ between frames",
            got=boxes.class_names,
            expected=expected.class_names,
            hint=hint,
        )
    if boxes.has_velocity != expected.has_velocity:
        raise EvaluationError(
            f"{subject}: has_velocity",
            "differs between frames",
            got=boxes.has_velocity,
            expected=expected.has_velocity,
            hint=hint,
        )


def _check_finite(frame: EvaluatedFrame) -> None:
    """One NaN would silently take a box out of every comparison."""
    truth = frame.ground_truth.boxes
    for side, boxes in (("detections", frame.detections), ("ground truth", truth)):
        columns = {"centers": boxes.centers, "sizes": boxes.sizes, "yaws": boxes.yaws}
        if boxes is not truth:
            # Where nothing is known of a true velocity it is NaN; a model always says something.
            columns |= {"scores": boxes.scores, "velocities": boxes.velocities}
        for name, values in columns.items():
            bad = ~np.isfinite(values) | ((values <= 0) if name == "sizes" else False)
            if bad.any():
                row = int(np.argwhere(bad)[0, 0])
                raise EvaluationError(
                    f"frame {frame.sample_id}: {side}.{name}",
                    f"box {row} has an impossible value",
                    got=values[row].tolist(),
                    expected="finite, positive sizes" if name == "sizes" else "finite values",
                )
