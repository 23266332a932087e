"""Classification as a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from awml_deploy_core.classification import Classification, ClassLabel
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.agreement import check_class_names
from awml_deploy_core.evaluation.box_records import listed
from awml_deploy_core.evaluation.classification.metrics import (
    ClassificationMetrics,
    classification_metrics,
)
from awml_deploy_core.evaluation.task import (
    AccuracyResult,
    AgreementResult,
    Cell,
    FrameScore,
    MetricTable,
    TaskFrame,
)

Frame = TaskFrame[Classification, ClassLabel]


class ClassificationTask:
    """Implements :class:`~awml_deploy_core.evaluation.task.TaskMetric` for one class a sample."""

    name = "classification"

    def encode(self, frame: Frame) -> dict[str, Any]:
        """Probabilities and class as JSON."""
        return {
            "probabilities": listed(frame.output.probabilities),
            "class_names": list(frame.output.class_names),
            "truth": None if frame.truth is None else frame.truth.class_name,
        }

    def decode(self, sample_id: str, content: Mapping[str, Any]) -> Frame:
        """The inverse of :meth:`encode`."""
        probabilities = np.array(content["probabilities"], np.float32)
        output = Classification(probabilities, tuple(content["class_names"]))
        truth = content["truth"]
        return TaskFrame(sample_id, output, None if truth is None else ClassLabel(str(truth)))

    def evaluate(self, frames: Sequence[Frame]) -> AccuracyResult:
        """Accuracy, precision, recall, F1 and AUC."""
        if not frames:
            raise EvaluationError("samples", "there are none to evaluate", expected="at least one")
        names = frames[0].output.class_names
        labels = np.array([_label(frame, names) for frame in frames], np.int64)
        probabilities = np.stack([frame.output.probabilities for frame in frames]).astype(np.float64)
        metrics = classification_metrics(labels, probabilities, names)
        return AccuracyResult(
            task=self.name,
            num_frames=metrics.num_frames,
            headline=(
                f"accuracy {metrics.accuracy:.3f}, macro F1 {metrics.macro_f1:.3f} over "
                f"{metrics.num_frames} samples"
            ),
            figures=dict(_figures(metrics)),
            compared={"accuracy": "accuracy", "macro_f1": "macro F1", "macro_auc": "AUC"},
            tables=_tables(metrics),
            details={"classification": metrics.model_dump(mode="json")},
        )

    def score(self, frame: Frame) -> FrameScore:
        """Probability of the class that the sample has."""
        names = frame.output.class_names
        label = _label(frame, names)
        probability = float(frame.output.probabilities[label])
        said = f"is {names[label]}, said {frame.output.class_name} with {frame.output.score:.3f}"
        return FrameScore(score=min(probability, 1.0), summary=said)

    def agree(self, reference: Classification, output: Classification) -> FrameScore:
        """1 less the largest difference of a probability."""
        difference = _difference(reference, output)
        same = "the same class" if reference.label == output.label else "another class"
        return FrameScore(
            score=1.0 - min(difference, 1.0), summary=f"{same}, probabilities within {difference:.2e}"
        )

    def agreement(
        self, reference: str, pairs: Sequence[tuple[Classification, Classification]]
    ) -> AgreementResult:
        """Samples that both backends give the same class, and how much the probabilities differ."""
        if not pairs:
            raise EvaluationError("agreement", "there is no sample that both backends ran")
        differences = [_difference(a, b) for a, b in pairs]
        same = sum(a.label == b.label for a, b in pairs)
        figures = {
            "matched_share": same / len(pairs),
            "probability_mean": float(np.mean(differences)),
            "probability_max": max(differences),
        }
        return AgreementResult(
            reference=reference,
            num_frames=len(pairs),
            headline=(
                f"{same} of {len(pairs)} samples have the same class as on {reference}, probabilities "
                f"within {figures['probability_max']:.2e}"
            ),
            figures=figures,
        )

    def records(self, output: Classification) -> list[dict[str, Any]]:
        """One mapping."""
        return output.to_records()


def _label(frame: Frame, names: tuple[str, ...]) -> int:
    """Index of the class that a sample has."""
    if frame.truth is None:
        raise EvaluationError(f"sample {frame.sample_id}", "has no ground truth")
    if frame.output.class_names != names:
        raise EvaluationError(
            f"sample {frame.sample_id}: class names",
            "differ between samples",
            got=frame.output.class_names,
            expected=names,
        )
    if frame.truth.class_name not in names:
        raise EvaluationError(
            f"sample {frame.sample_id}",
            "has a class that the model does not know",
            got=frame.truth.class_name,
            expected=" or ".join(names),
            hint="Name the classes of the model (model.class_names) as the data set does.",
        )
    return names.index(frame.truth.class_name)


def _difference(reference: Classification, output: Classification) -> float:
    check_class_names(reference.class_names, output.class_names)
    both = (side.probabilities.astype(np.float64) for side in (reference, output))
    return float(np.abs(np.subtract(*both)).max())


def _figures(metrics: ClassificationMetrics) -> Iterator[tuple[str, float]]:
    yield "accuracy", metrics.accuracy
    yield "balanced_accuracy", metrics.balanced_accuracy
    yield "macro_f1", metrics.macro_f1
    if metrics.macro_auc is not None:
        yield "macro_auc", metrics.macro_auc
    for entry in metrics.classes:
        for name in ("precision", "recall", "f1", "auc"):
            if (value := getattr(entry, name)) is not None:
                yield f"{name}/{entry.name}", value


def _tables(metrics: ClassificationMetrics) -> tuple[MetricTable, ...]:
    rows: list[tuple[Cell, ...]] = [
        (
            entry.name,
            entry.num_gt,
            entry.num_predictions,
            entry.precision,
            entry.recall,
            entry.f1,
            entry.auc,
        )
        for entry in metrics.classes
    ]
    by_class = MetricTable(
        title="by class",
        columns=("class", "GT", "pred", "precision", "recall", "F1", "AUC"),
        rows=tuple(rows),
    )
    names = [entry.name for entry in metrics.classes]
    confusion = MetricTable(
        title="confusion",
        columns=("class \\ said", *names),
        rows=tuple((name, *counts) for name, counts in zip(names, metrics.confusion, strict=True)),
    )
    return by_class, confusion
