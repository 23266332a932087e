"""What an evaluation needs to know of a task: how its outputs are kept, measured and compared.

Those that core knows are in :mod:`awml_deploy_core.evaluation.tasks`. Another one is one more class of
this form, which a model family may bring itself; orchestrator, result model and views know none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import Field

from awml_deploy_core.evaluation.metrics import MetricRecord

OutputT = TypeVar("OutputT")
TruthT = TypeVar("TruthT")

Cell = str | int | float | None
"""Of a table; None is shown as a dash, floats with three decimals."""


@dataclass(frozen=True, eq=False)
class TaskFrame(Generic[OutputT, TruthT]):
    """What a model gave for a sample, and what is right, if somebody knows."""

    sample_id: str
    output: OutputT
    truth: TruthT | None = None


class MetricTable(MetricRecord):
    """Figures for people, rendered the same in every view."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


class AccuracyResult(MetricRecord):
    """How right the outputs are."""

    task: str
    num_frames: int
    """Frames with ground truth."""
    headline: str
    """One line."""
    figures: dict[str, float]
    """By name, e.g. ``mean_ap``, ``ap/CAR``; what could not be measured is not there."""
    compared: dict[str, str] = Field(default_factory=dict)
    """Title of each figure that backends are compared by."""
    tables: tuple[MetricTable, ...]
    details: dict[str, Any] = Field(default_factory=dict)
    """Everything that the task measured, JSON-ready."""


class FrameScore(MetricRecord):
    """How right one frame is, to tell the best and the worst."""

    score: float
    """The larger the better, in [0, 1]."""
    summary: str


class AgreementResult(MetricRecord):
    """How much the outputs of one backend are those of the reference."""

    reference: str
    num_frames: int
    headline: str
    figures: dict[str, float]
    """By name, e.g. ``matched_share``."""


class TaskMetric(Protocol[OutputT, TruthT]):
    """One task."""

    @property
    def name(self) -> str:
        """As :attr:`awml_deploy_core.family.ModelFamily.task` says it."""
        ...

    def encode(self, frame: TaskFrame[OutputT, TruthT]) -> dict[str, Any]:
        """A JSON-ready form that :meth:`decode` turns back without loss."""
        ...

    def decode(self, sample_id: str, content: Mapping[str, Any]) -> TaskFrame[OutputT, TruthT]:
        """The inverse of :meth:`encode`.

        Raises:
            KeyError, TypeError, ValueError: The content is damaged.
        """
        ...

    def evaluate(self, frames: Sequence[TaskFrame[OutputT, TruthT]]) -> AccuracyResult:
        """Measure frames that all have ground truth.

        Raises:
            EvaluationError: They say nothing about the model.
            MissingDependencyError: What computes the metrics is not installed.
        """
        ...

    def score(self, frame: TaskFrame[OutputT, TruthT]) -> FrameScore:
        """Judge one frame by its ground truth."""
        ...

    def agree(self, reference: OutputT, output: OutputT) -> FrameScore:
        """Judge one frame by the output of the reference backend."""
        ...

    def agreement(self, reference: str, pairs: Sequence[tuple[OutputT, OutputT]]) -> AgreementResult:
        """Compare all outputs of a backend with those of the reference, first of each pair.

        Raises:
            EvaluationError: There is no pair.
        """
        ...

    def records(self, output: OutputT) -> list[dict[str, Any]]:
        """What an output says, for reports."""
        ...
