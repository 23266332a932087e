from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.classification import Classification
from awml_deploy_core.errors import TensorMismatchError

NAMES = ("bad", "good")


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=2))
def test_softmax(logits: list[float]) -> None:
    found = Classification.from_logits(np.array(logits, np.float32), NAMES)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-6)
    difference = float(np.float32(logits[1])) - float(np.float32(logits[0]))
    assert found.probabilities[1] == pytest.approx(
        1 / (1 + np.exp(np.clip(-difference, -700, 700))), abs=1e-6
    )


def test_most_probable_class() -> None:
    found = Classification.from_logits(np.array([1.0, 3.0]), NAMES)
    assert (found.label, found.class_name) == (1, "good")
    assert found.above(0.99) is found
    assert found.count_by_class() == {"bad": 0, "good": 1}
    (record,) = found.to_records()
    assert record["class"] == "good"
    assert record["probabilities"]["bad"] == pytest.approx(1 - found.score)


@pytest.mark.parametrize("logits", [[np.nan, 0.0], [np.inf, 0.0], [1.0, 2.0, 3.0]])
def test_no_classification(logits: list[float]) -> None:
    with pytest.raises(TensorMismatchError, match=r"classification\.probabilities"):
        Classification.from_logits(np.array(logits), NAMES)
