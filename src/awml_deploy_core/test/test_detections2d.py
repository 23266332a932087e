from __future__ import annotations

import numpy as np
import pytest

from awml_deploy_core.detections2d import Detections2D, GroundTruth2D, pairwise_iou
from awml_deploy_core.errors import TensorMismatchError

NAMES = ("car", "bus")


def boxes(
    *rows: list[float], scores: list[float] | None = None, labels: list[int] | None = None
) -> Detections2D:
    n = len(rows)
    return Detections2D(
        np.array(rows, np.float32).reshape(-1, 4),
        np.array(scores or [1.0] * n, np.float32),
        np.array(labels or [0] * n, np.int32),
        NAMES,
    )


def test_overlap() -> None:
    a = np.array([[0, 0, 2, 2], [0, 0, 0, 0]])
    b = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 0, 0]])
    np.testing.assert_allclose(pairwise_iou(a, b), [[1, 1 / 3, 0, 0], [0, 0, 0, 0]])
    assert pairwise_iou(a, b[:0]).shape == (2, 0)


def test_selection_and_counts() -> None:
    found = boxes([0, 0, 1, 1], [0, 0, 2, 2], scores=[0.9, 0.3], labels=[1, 0])
    assert found.count_by_class() == {"car": 1, "bus": 1}
    assert found.above(0.5).to_records() == [
        {"class": "bus", "score": pytest.approx(0.9), "box": [0, 0, 1, 1]}
    ]
    assert len(Detections2D.empty(NAMES)) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"boxes": np.zeros((1, 5), np.float32)},
        {"scores": np.zeros(2, np.float32)},
        {"labels": np.array([2], np.int32)},
        {"labels": np.array([-1], np.int32)},
    ],
)
def test_arrays_that_do_not_fit(changes: dict[str, np.ndarray]) -> None:
    columns = {"boxes": np.zeros((1, 4)), "scores": np.zeros(1), "labels": np.zeros(1, np.int32), **changes}
    with pytest.raises(TensorMismatchError):
        Detections2D(**columns, class_names=NAMES)


def test_one_crowd_flag_a_box() -> None:
    assert len(GroundTruth2D(boxes([0, 0, 1, 1]), np.array([True]))) == 1
    with pytest.raises(TensorMismatchError):
        GroundTruth2D(boxes([0, 0, 1, 1]), np.zeros(2, np.bool_))
