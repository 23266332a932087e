from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.classification import Classification, ClassLabel
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.classification import ClassificationTask
from awml_deploy_core.evaluation.classification.metrics import classification_metrics
from awml_deploy_core.evaluation.task import TaskFrame

TASK = ClassificationTask()
NAMES = ("miscalibrated", "calibrated")

Frame = TaskFrame[Classification, ClassLabel]
OTHER = Classification(np.ones(1, np.float32), ("x",))


def frame(sample: str, probability: float, truth: str | None = "calibrated") -> Frame:
    """``probability`` is that of ``calibrated``."""
    output = Classification(np.array([1 - probability, probability], np.float32), NAMES)
    return TaskFrame(sample, output, None if truth is None else ClassLabel(truth))


@st.composite
def samples(draw: st.DrawFn) -> tuple[Any, Any]:
    count, classes = draw(st.integers(1, 40)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    # Few different values, so that there are ties.
    weights = rng.integers(1, 5, (count, classes)).astype(np.float64)
    return rng.integers(0, classes, count), weights / weights.sum(axis=1, keepdims=True)


@settings(max_examples=60, deadline=None)
@given(samples())
def test_figures_are_those_of_scikit_learn(drawn: tuple[Any, Any]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, probabilities = drawn
    names = [f"c{index}" for index in range(probabilities.shape[1])]
    found = classification_metrics(labels, probabilities, names)
    predicted = probabilities.argmax(axis=1)
    everything = list(range(len(names)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found.accuracy == pytest.approx(sklearn.accuracy_score(labels, predicted))
        assert found.balanced_accuracy == pytest.approx(sklearn.balanced_accuracy_score(labels, predicted))
        assert found.macro_f1 == pytest.approx(
            sklearn.f1_score(labels, predicted, average="macro", zero_division=0)
        )
        confusion = sklearn.confusion_matrix(labels, predicted, labels=everything)
        assert np.array_equal(found.confusion, confusion)
        rows = sklearn.precision_recall_fscore_support(
            labels, predicted, labels=everything, zero_division=0
        )
    for index, entry in enumerate(found.classes):
        if entry.precision is None:
            assert not confusion[index].any()
            assert not confusion[:, index].any()
            continue
        own = (entry.precision, entry.recall, entry.f1, entry.num_gt)
        assert own == pytest.approx(tuple(float(row[index]) for row in rows))
        positive = labels == index
        if entry.auc is None:
            assert positive.all() or not positive.any()
        else:
            assert entry.auc == pytest.approx(sklearn.roc_auc_score(positive, probabilities[:, index]))


def test_figures_by_hand() -> None:
    frames = [frame("a", 0.9), frame("b", 0.4), frame("c", 0.8, NAMES[0]), frame("d", 0.1, NAMES[0])]
    result = TASK.evaluate(frames)
    assert result.figures["accuracy"] == 0.5
    assert result.figures["recall/miscalibrated"] == 0.5
    assert result.figures["precision/calibrated"] == 0.5
    assert result.figures["auc/calibrated"] == 0.75
    assert result.figures["macro_auc"] == 0.75
    by_class, confusion = result.tables
    assert by_class.rows[0][:3] == ("miscalibrated", 2, 2)
    assert confusion.rows == (("miscalibrated", 1, 1), ("calibrated", 1, 1))
    assert "accuracy 0.500" in result.headline


def test_samples_of_one_class_alone() -> None:
    result = TASK.evaluate([frame("a", 0.9), frame("b", 0.8)])
    assert result.figures["accuracy"] == 1.0
    assert "macro_auc" not in result.figures
    assert "recall/miscalibrated" not in result.figures
    assert result.tables[0].rows[0] == ("miscalibrated", 0, 0, None, None, None, None)


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ([], "there are none"),
        ([frame("a", 0.5, None)], "has no ground truth"),
        ([frame("a", 0.5, "rainy")], "a class that the model does not know.*rainy"),
        (
            [
                frame("a", 0.5),
                TaskFrame("b", OTHER, ClassLabel("x")),
            ],
            "class names",
        ),
    ],
)
def test_what_cannot_be_measured(frames: list[Frame], problem: str) -> None:
    with pytest.raises(EvaluationError, match=problem):
        TASK.evaluate(frames)


def test_frames_are_kept_without_loss() -> None:
    for probability, truth in ((0.3, "calibrated"), (1 / 3, None)):
        one = frame("a", probability, truth)
        kept = TASK.decode("a", json.loads(json.dumps(TASK.encode(one))))
        assert np.array_equal(kept.output.probabilities, one.output.probabilities)
        assert (kept.output.class_names, kept.truth) == (NAMES, one.truth)


def test_frames_and_backends_are_compared() -> None:
    judged = TASK.score(frame("a", 0.25))
    assert judged.score == pytest.approx(0.25)
    assert judged.summary == "is calibrated, said miscalibrated with 0.750"
    a, b = frame("a", 0.6).output, frame("a", 0.4).output
    assert TASK.agree(a, b).score == pytest.approx(0.8)
    assert "another class" in TASK.agree(a, b).summary
    found = TASK.agreement("pytorch:cpu", [(a, b), (a, a)])
    assert found.figures["matched_share"] == 0.5
    assert found.figures["probability_max"] == pytest.approx(0.2)
    with pytest.raises(EvaluationError, match="no sample"):
        TASK.agreement("pytorch:cpu", [])
    with pytest.raises(EvaluationError, match="class names"):
        TASK.agree(a, OTHER)
