"""2D detections in an image as a struct of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import TensorMismatchError

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Detections2D:
    """N boxes in an image, best score first.

    Raises:
        TensorMismatchError: An array has another length or a label is out of range.
    """

    boxes: FloatArray
    """float32 [N, 4]: left, top, right, bottom [px]; the centre of the first pixel is at 0.5, 0.5."""
    scores: FloatArray
    """float32 [N]: confidence in [0, 1]."""
    labels: npt.NDArray[np.int32]
    """int32 [N]: index into ``class_names``."""
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.scores)
        for name, shape in (("boxes", (n, 4)), ("scores", (n,)), ("labels", (n,))):
            actual = getattr(self, name).shape
            if actual != shape:
                raise TensorMismatchError(f"detections.{name}", "wrong shape", got=actual, expected=shape)
        if n and (self.labels.min() < 0 or self.labels.max() >= len(self.class_names)):
            raise TensorMismatchError(
                "detections.labels",
                "label out of range",
                got=f"{self.labels.min()}..{self.labels.max()}",
                expected=f"0..{len(self.class_names) - 1}",
            )

    @classmethod
    def empty(cls, class_names: tuple[str, ...]) -> Detections2D:
        """No boxes."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), class_names
        )

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, index: npt.NDArray[Any]) -> Detections2D:
        """Boxes chosen by an index or boolean array, in its order."""
        return Detections2D(self.boxes[index], self.scores[index], self.labels[index], self.class_names)

    def above(self, min_score: float) -> Detections2D:
        """Boxes of this score or a better one."""
        return self.select(np.flatnonzero(self.scores >= min_score))

    def count_by_class(self) -> dict[str, int]:
        """Number of boxes of every class, zeros included."""
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return {name: int(count) for name, count in zip(self.class_names, counts, strict=True)}

    def to_records(self) -> list[dict[str, Any]]:
        """One JSON-ready mapping a box."""
        return [
            {
                "class": self.class_names[int(self.labels[i])],
                "score": float(self.scores[i]),
                "box": [float(v) for v in self.boxes[i]],
            }
            for i in range(len(self))
        ]


@dataclass(frozen=True, eq=False)
class GroundTruth2D:
    """What an annotator says is in an image.

    Raises:
        TensorMismatchError: There is not one crowd flag a box.
    """

    boxes: Detections2D
    """M boxes with score 1."""
    is_crowd: npt.NDArray[np.bool_]
    """bool [M]: the box encloses several objects that are not told apart (COCO's ``iscrowd``)."""
    areas: npt.NDArray[np.float64] | None = None
    """float64 [M]: of the objects [px^2], which in COCO are those of their masks; None: of the boxes."""

    def __post_init__(self) -> None:
        expected = (len(self.boxes),)
        for name in ("is_crowd", "areas"):
            value = getattr(self, name)
            if value is not None and value.shape != expected:
                raise TensorMismatchError(
                    f"ground_truth.{name}", "wrong shape", got=value.shape, expected=expected
                )

    def __len__(self) -> int:
        return len(self.boxes)


def box_areas(boxes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """float64 [N]: areas of boxes [N, 4] [px^2]; 0 for one whose sides are swapped."""
    sides = np.asarray(boxes, np.float64)[:, 2:] - np.asarray(boxes, np.float64)[:, :2]
    areas: npt.NDArray[np.float64] = np.clip(sides, 0, None).prod(axis=1)
    return areas


def pairwise_iou(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Intersection over union of every box of ``a`` [N, 4] with every box of ``b`` [M, 4].

    Returns:
        float64 [N, M]; 0 where both boxes are empty.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=2)
    areas = [box_areas(boxes) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - intersection
    iou: npt.NDArray[np.float64] = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return iou
