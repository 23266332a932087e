import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import TensorMismatchError

CLASSES = ("CAR", "BUS")


def boxes(labels: list[int]) -> Detections:
    n = len(labels)
    return Detections(
        centers=np.arange(3 * n, dtype=np.float32).reshape(n, 3),
        sizes=np.ones((n, 3), np.float32),
        yaws=np.zeros(n, np.float32),
        velocities=np.zeros((n, 2), np.float32),
        scores=np.linspace(1, 0, n, dtype=np.float32),
        labels=np.array(labels, np.int32),
        class_names=CLASSES,
    )


def test_empty_has_no_boxes_and_counts_every_class() -> None:
    nothing = Detections.empty(CLASSES)
    assert len(nothing) == 0
    assert nothing.count_by_class() == {"CAR": 0, "BUS": 0}
    assert nothing.to_records() == []


def test_a_column_of_another_length_is_refused() -> None:
    good = boxes([0, 1])
    with pytest.raises(
        TensorMismatchError, match=r"detections.yaws: wrong shape; got \(1,\); expected \(2,\)"
    ):
        Detections(
            good.centers, good.sizes, good.yaws[:1], good.velocities, good.scores, good.labels, CLASSES
        )


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_class_is_refused(label: int) -> None:
    with pytest.raises(TensorMismatchError, match=r"label out of range.*expected 0..1"):
        boxes([0, label])


@given(st.lists(st.integers(0, 1), max_size=20))
def test_counts_add_up_to_the_number_of_boxes(labels: list[int]) -> None:
    counts = boxes(labels).count_by_class()
    assert sum(counts.values()) == len(labels)
    assert counts["BUS"] == sum(labels)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=20), st.data())
def test_select_keeps_rows_together_in_the_given_order(labels: list[int], data: st.DataObject) -> None:
    every = boxes(labels)
    index = np.array(data.draw(st.permutations(range(len(labels)))))
    chosen = every.select(index)
    np.testing.assert_array_equal(chosen.centers, every.centers[index])
    np.testing.assert_array_equal(chosen.labels, every.labels[index])
    np.testing.assert_array_equal(chosen.scores, every.scores[index])


def test_records_are_json_and_complete() -> None:
    (record,) = json.loads(json.dumps(boxes([1]).to_records()))
    assert record == {
        "class": "BUS",
        "score": 1.0,
        "center": [0.0, 1.0, 2.0],
        "size": [1.0, 1.0, 1.0],
        "yaw": 0.0,
        "velocity": [0.0, 0.0],
    }
