"""Comparison of results of any kind: each kind has its comparator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from awml_deploy_core.classification import Classification
from awml_deploy_core.detections import Detections
from awml_deploy_core.detections2d import Detections2D, pairwise_iou
from awml_deploy_core.errors import TensorMismatchError
from awml_deploy_core.verification.boxes import CandidatesOf, DetectionsComparator, OutputComparison
from awml_deploy_core.verification.sample_checks import OutputComparator
from awml_deploy_core.verification.tolerances import Tolerances


@dataclass(frozen=True)
class ResultComparator:
    """Hands two results to the comparator of their type."""

    comparators: Mapping[type[Any], OutputComparator]

    def compare(
        self, reference: Any, test: Any, candidates: CandidatesOf | None = None
    ) -> OutputComparison:
        """Compare ``test`` with ``reference``.

        Raises:
            TensorMismatchError: There is no comparator for the type.
        """
        comparator = self.comparators.get(type(reference))
        if comparator is None:
            raise TensorMismatchError(
                "result",
                "cannot be compared",
                got=type(reference).__name__,
                expected=" or ".join(kind.__name__ for kind in self.comparators),
            )
        if type(test) is not type(reference):
            failure = f"result is a {type(test).__name__}, reference a {type(reference).__name__}"
            return OutputComparison((failure,), "", {})
        return comparator.compare(reference, test, candidates)


@dataclass(frozen=True)
class Detections2DComparator:
    """Matches boxes of a class one to one, best overlap first, and checks every pair."""

    match_iou: float = 0.5
    """Boxes that overlap less are not the same."""
    corner: float = 0.5
    """Largest difference of a coordinate of a corner [px]."""
    score: float = 1e-3
    """Largest difference of the scores."""
    max_unmatched: int = 0
    """Boxes of either side that may stay without a partner in one sample."""

    def compare(
        self, reference: Detections2D, test: Detections2D, candidates: CandidatesOf | None = None
    ) -> OutputComparison:
        """Compare box by box."""
        if reference.class_names != test.class_names:
            failure = f"class names {test.class_names}, reference {reference.class_names}"
            return OutputComparison((failure,), "", {})
        pairs = self._pairs(reference, test)
        rows, columns = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
        worst = {
            "corner": float(np.abs(reference.boxes[rows] - test.boxes[columns]).max(initial=0.0)),
            "score": float(np.abs(reference.scores[rows] - test.scores[columns]).max(initial=0.0)),
        }
        failures = [
            f"{name} differs by up to {value:.3g}, limit {getattr(self, name):.3g}"
            for name, value in worst.items()
            if not value <= getattr(self, name)
        ]
        lone_reference = np.setdiff1d(np.arange(len(reference)), rows)
        lone_test = np.setdiff1d(np.arange(len(test)), columns)
        if max(len(lone_reference), len(lone_test)) > self.max_unmatched:
            failures.append(
                f"{len(lone_reference)} of {len(reference)} reference boxes and {len(lone_test)} of "
                f"{len(test)} test boxes have no partner"
            )
        is_empty = not len(reference) and not len(test)
        matched = f"{len(pairs)} boxes matched one to one, corners within {worst['corner']:.2e} px"
        return OutputComparison(
            tuple(failures),
            "neither side has a box" if is_empty else matched,
            {
                "matched": len(pairs),
                "worst": worst,
                "only_in_reference": reference.select(lone_reference).to_records(),
                "only_in_test": test.select(lone_test).to_records(),
            },
            is_empty,
        )

    def _pairs(self, reference: Detections2D, test: Detections2D) -> list[tuple[int, int]]:
        overlap = pairwise_iou(reference.boxes, test.boxes)
        # The overlap of a box without area says nothing, that of a tiny one little.
        distance = np.abs(reference.boxes[:, None].astype(np.float64) - test.boxes[None])
        overlap[(distance <= self.corner).all(axis=2)] = 1.0
        overlap[reference.labels[:, None] != test.labels[None]] = -1.0
        pairs: list[tuple[int, int]] = []
        free_rows, free_columns = np.ones(len(reference), bool), np.ones(len(test), bool)
        candidates = np.flatnonzero(overlap.ravel() >= self.match_iou)
        for flat in candidates[np.argsort(-overlap.ravel()[candidates], kind="stable")]:
            row, column = divmod(int(flat), len(test))
            if free_rows[row] and free_columns[column]:
                free_rows[row] = free_columns[column] = False
                pairs.append((row, column))
        return sorted(pairs)


@dataclass(frozen=True)
class ClassificationComparator:
    """Checks that both sides see the same class, with the same probabilities."""

    probability: float = 1e-3
    """Largest difference of a probability."""

    def compare(
        self, reference: Classification, test: Classification, candidates: CandidatesOf | None = None
    ) -> OutputComparison:
        """Compare class by class."""
        if reference.class_names != test.class_names:
            failure = f"class names {test.class_names}, reference {reference.class_names}"
            return OutputComparison((failure,), "", {})
        worst = float(np.abs(reference.probabilities - test.probabilities).max())
        failures = []
        if reference.label != test.label:
            failures.append(f"class is {test.class_name}, reference {reference.class_name}")
        if not worst <= self.probability:
            failures.append(f"probability differs by up to {worst:.3g}, limit {self.probability:.3g}")
        summary = f"{test.class_name} with probability {test.score:.4f}, within {worst:.2e}"
        return OutputComparison(tuple(failures), summary, {"worst": {"probability": worst}})


def compare_results(tolerances: Tolerances) -> ResultComparator:
    """The comparator of every kind of result that this suite knows."""
    return ResultComparator(
        {
            Detections: DetectionsComparator(tolerances.boxes),
            Detections2D: Detections2DComparator(),
            Classification: ClassificationComparator(),
        }
    )
