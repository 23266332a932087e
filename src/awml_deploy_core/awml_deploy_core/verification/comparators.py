"""Comparison of results of any kind: each kind has its comparator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from awml_deploy_core.classification import Classification
from awml_deploy_core.detections import Detections
from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.errors import TensorMismatchError
from awml_deploy_core.family import ModelFamily
from awml_deploy_core.verification.boxes import CandidatesOf, DetectionsComparator, OutputComparison
from awml_deploy_core.verification.matching2d import match_by_overlap
from awml_deploy_core.verification.sample_checks import OutputComparator
from awml_deploy_core.verification.tolerances import Box2dLimits, ClassificationLimits, Tolerances


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

    limits: Box2dLimits = field(default_factory=Box2dLimits)

    def compare(
        self, reference: Detections2D, test: Detections2D, candidates: CandidatesOf | None = None
    ) -> OutputComparison:
        """Compare box by box."""
        if reference.class_names != test.class_names:
            failure = f"class names {test.class_names}, reference {reference.class_names}"
            return OutputComparison((failure,), "", {})
        limits = self.limits
        pairs = match_by_overlap(reference, test, limits.match_iou, limits.corner)
        rows, columns = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
        corners = np.abs(reference.boxes[rows] - test.boxes[columns]).max(axis=1, initial=0.0)
        scores = np.abs(reference.scores[rows] - test.scores[columns])
        sides = (reference.boxes[rows, 2:] - reference.boxes[rows, :2]).max(axis=1, initial=0.0)
        largest = {"corner": float(corners.max(initial=0.0)), "score": float(scores.max(initial=0.0))}
        allowed = np.maximum(limits.corner, limits.corner_relative * sides)
        apart = {"corner": ~(corners <= allowed), "score": ~(scores <= limits.score)}
        broken = apart["corner"] | apart["score"]
        lone_reference = np.setdiff1d(np.arange(len(reference)), rows)
        lone_test = np.setdiff1d(np.arange(len(test)), columns)
        lone, most = max(len(lone_reference), len(lone_test)), max(len(reference), len(test))
        unmatched = max(limits.max_unmatched, int(limits.max_unmatched_share * most))
        failures = []
        # Of boxes that overlap, suppression may keep another one by rounding: a pair that is too far
        # apart is two boxes without a partner.
        if lone + np.count_nonzero(broken) > unmatched:
            texts = {"corner": self._corner_text(), "score": f"{limits.score:.3g}"}
            failures = [
                f"{name} of {np.count_nonzero(bad)} boxes differs by up to {largest[name]:.3g}, limit "
                f"{texts[name]}"
                for name, bad in apart.items()
                if bad.any()
            ]
            if lone:
                failures.append(
                    f"{len(lone_reference)} of {len(reference)} reference boxes and {len(lone_test)} of "
                    f"{len(test)} test boxes have no partner, limit {unmatched}"
                )
        agreeing = int(np.count_nonzero(~broken))
        within = float(corners[~broken].max(initial=0.0))
        matched = f"{agreeing} boxes matched one to one, corners within {within:.2e} px"
        if lone or broken.any():
            matched += f", {most - agreeing} without a partner"
        only_reference = np.sort(np.concatenate([lone_reference, rows[broken]]))
        only_test = np.sort(np.concatenate([lone_test, columns[broken]]))
        return OutputComparison(
            tuple(failures),
            matched if most else "neither side has a box",
            {
                "matched": agreeing,
                "worst": largest,
                "only_in_reference": reference.select(only_reference).to_records(),
                "only_in_test": test.select(only_test).to_records(),
            },
            not most,
        )

    def _corner_text(self) -> str:
        relative = self.limits.corner_relative
        return f"{self.limits.corner:.3g} px" + (f" or {relative:.1%} of the side" if relative else "")


@dataclass(frozen=True)
class ClassificationComparator:
    """Checks that both sides see the same class, with the same probabilities."""

    limits: ClassificationLimits = field(default_factory=ClassificationLimits)

    def compare(
        self, reference: Classification, test: Classification, candidates: CandidatesOf | None = None
    ) -> OutputComparison:
        """Compare class by class."""
        if reference.class_names != test.class_names:
            failure = f"class names {test.class_names}, reference {reference.class_names}"
            return OutputComparison((failure,), "", {})
        limits = self.limits
        worst = float(np.abs(reference.probabilities - test.probabilities).max())
        within = worst <= limits.probability
        other = f"class is {test.class_name}, reference {reference.class_name}"
        failures = []
        if reference.label != test.label and (limits.same_class or not within):
            failures.append(other)
        if not within:
            failures.append(f"probability differs by up to {worst:.3g}, limit {limits.probability:.3g}")
        summary = f"{test.class_name} with probability {test.score:.4f}, within {worst:.2e}"
        if reference.label != test.label:
            summary = f"{other} by rounding, probabilities within {worst:.2e}"
        return OutputComparison(tuple(failures), summary, {"worst": {"probability": worst}})


@runtime_checkable
class ProvidesComparator(Protocol):
    """A model family whose results only it can compare. Optional."""

    def output_comparator(self, tolerances: Tolerances) -> OutputComparator:
        """What compares two results of the family under the tolerances of a precision."""
        ...


def compare_results(tolerances: Tolerances, family: ModelFamily[Any] | None = None) -> OutputComparator:
    """The comparator of a family's own, or one of every kind of result that core knows."""
    if isinstance(family, ProvidesComparator):
        return family.output_comparator(tolerances)
    return ResultComparator(
        {
            Detections: DetectionsComparator(tolerances.boxes),
            Detections2D: Detections2DComparator(tolerances.boxes2d),
            Classification: ClassificationComparator(tolerances.classification),
        }
    )
