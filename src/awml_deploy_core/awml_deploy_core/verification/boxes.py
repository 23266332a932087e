"""Comparison of decoded boxes from two backends, matched one to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import Candidates
from awml_deploy_core.verification.borderline import REFERENCE, TEST, Place, Side, explain
from awml_deploy_core.verification.matching import (
    FloatArray,
    Matching,
    match_boxes,
    nearest_candidate,
    pair_differences,
)
from awml_deploy_core.verification.tolerances import BoxLimits

CandidatesOf = Callable[[], tuple[Candidates, Candidates] | None]
"""Gives the candidates of reference and test, None if a pipeline offers none."""

LIMITED = ("position", "size", "yaw", "velocity", "score")
_SIDES = ("reference", "test")
_MOST_EXPLAINED = 200
"""Boxes without a partner whose reasons are looked for."""


@dataclass(frozen=True)
class OutputComparison:
    """Whether two decoded outputs agree; falsy if not."""

    failures: tuple[str, ...]
    summary: str
    details: dict[str, Any]
    is_empty: bool = False
    """Neither side decoded anything, so their agreement says nothing."""

    def __bool__(self) -> bool:
        return not self.failures

    def message(self) -> str:
        """The broken limits, or the summary if none is."""
        return "; ".join(self.failures) if self.failures else self.summary


@dataclass(frozen=True)
class DetectionsComparator:
    """Compares Detections box by box."""

    limits: BoxLimits = field(default_factory=BoxLimits)

    def compare(
        self,
        reference: Detections,
        test: Detections,
        candidates: CandidatesOf | None = None,
    ) -> OutputComparison:
        """Match the boxes of each class and check every pair and every box left over.

        Args:
            reference: What is taken as right.
            test: What is checked.
            candidates: Gives those of both sides, asked only if a box lacks a partner that agrees;
                without them no box is borderline.
        """
        if reference.class_names != test.class_names:
            failure = f"class names {test.class_names}, reference {reference.class_names}"
            return OutputComparison((failure,), "", {})
        if reference.has_velocity != test.has_velocity:
            words = ["with" if side.has_velocity else "without" for side in (test, reference)]
            failure = f"boxes {words[0]} velocities, reference {words[1]}"
            return OutputComparison((failure,), "", {})
        matching = match_boxes(reference, test, self.limits)
        figures = _figures(reference, test, matching)
        broken = self._broken(figures)
        borderline, verdicts = self._borderline((reference, test), candidates, matching, broken)
        clear = np.array([(REFERENCE, row) not in borderline for row, _ in matching.pairs], bool)
        figures = {name: values[clear] for name, values in figures.items()}
        lone = {
            REFERENCE: [i for i in matching.lone_reference if (REFERENCE, i) not in borderline],
            TEST: [i for i in matching.lone_test if (TEST, i) not in borderline],
        }
        counts = [sum(place[0] == side for place in borderline) for side in (REFERENCE, TEST)]
        failures = [
            *self._pair_failures(figures),
            *self._count_failures((reference, test), lone, max(counts)),
        ]
        records = _Evidence((reference, test), matching, self.limits)
        matched, largest = int(clear.sum()), max(len(reference), len(test))
        worst = {name: float(values.max(initial=0.0)) for name, values in figures.items()}
        is_empty = not largest
        summary = f"{matched} boxes matched one to one, position within {worst['position']:.2e} m"
        if borderline:
            summary += f", {len(borderline)} borderline"
        return OutputComparison(
            tuple(failures),
            "neither side has a box" if is_empty else summary,
            {
                "matched": matched,
                "coverage": matched / largest if largest else 1.0,
                "worst": worst,
                "only_in_reference": [records.of((REFERENCE, i), verdicts) for i in lone[REFERENCE]],
                "only_in_test": [records.of((TEST, i), verdicts) for i in lone[TEST]],
                "borderline": [
                    {"side": _SIDES[place[0]], **records.of(place, borderline)}
                    for place in sorted(borderline)
                ],
            },
            is_empty,
        )

    def _broken(self, figures: dict[str, FloatArray]) -> list[int]:
        """Pairs that break any limit."""
        bad = np.zeros(len(figures["position"]), bool)
        for name in LIMITED:
            bad |= ~(figures[name] <= getattr(self.limits, name))
        return [int(k) for k in np.flatnonzero(bad | (figures["heading"] > np.pi / 2))]

    def _borderline(
        self,
        boxes: tuple[Detections, Detections],
        ask: CandidatesOf | None,
        matching: Matching,
        broken: list[int],
    ) -> tuple[dict[Place, str], dict[Place, str]]:
        """Reasons of boxes that rounding decided, and what became of the other lone ones.

        A pair that breaks a limit may be two boxes of one object between which suppression chose by a
        tie; it is borderline only if both of its boxes are.
        """
        if ask is None:
            return {}, {}
        apart = {(side, matching.pairs[k][side]): k for k in broken for side in (REFERENCE, TEST)}
        lone = [
            *((REFERENCE, i) for i in matching.lone_reference),
            *((TEST, i) for i in matching.lone_test),
            *apart,
        ]
        largest = max(map(len, boxes))
        tolerated = max(1, int(self.limits.max_borderline * largest)) + self.limits.max_unmatched
        if len(lone) > max(_MOST_EXPLAINED, 4 * tolerated):
            # So many fail whatever the reason of each is, and each reason costs a look at all boxes.
            return {}, {}
        candidates = ask() if lone else None
        if candidates is None:
            return {}, {}
        partners: dict[Place, int] = {}
        for k, (row, column) in enumerate(matching.pairs):
            if k not in broken:
                partners |= {(REFERENCE, row): column, (TEST, column): row}
        sides = (Side(boxes[0], candidates[0]), Side(boxes[1], candidates[1]))
        found, verdicts = explain(sides, lone, partners, self.limits)
        halves = {k for place, k in apart.items() if place not in found}
        return {place: text for place, text in found.items() if apart.get(place) not in halves}, verdicts

    def _pair_failures(self, figures: dict[str, FloatArray]) -> list[str]:
        failures = []
        for name in LIMITED:
            limit, values = getattr(self.limits, name), figures[name]
            if over := int(np.count_nonzero(~(values <= limit))):
                largest = float(values.max(initial=0.0))
                failures.append(f"{name} of {over} boxes differs by up to {largest:.3g}, limit {limit:.3g}")
        flips = int(np.count_nonzero(figures["heading"] > np.pi / 2))
        if flips > self.limits.max_heading_flips:
            limit = self.limits.max_heading_flips
            failures.append(f"{flips} boxes head the other way, limit {limit}")
        return failures

    def _count_failures(
        self, boxes: tuple[Detections, Detections], lone: dict[int, list[int]], borderline: int
    ) -> list[str]:
        failures = []
        if max(map(len, lone.values())) > self.limits.max_unmatched:
            failures.append(
                f"{len(lone[REFERENCE])} of {len(boxes[0])} reference boxes and {len(lone[TEST])} of "
                f"{len(boxes[1])} test boxes have no partner"
            )
        allowed = max(1, int(self.limits.max_borderline * max(map(len, boxes))))
        if borderline > allowed:
            failures.append(f"{borderline} boxes are borderline, limit {allowed}")
        return failures


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What is kept of a box that was not matched."""

    sides: tuple[Detections, Detections]
    matching: Matching
    limits: BoxLimits

    def of(self, place: Place, reasons: dict[Place, str]) -> dict[str, Any]:
        """The box, its nearest candidate on the other side, and the reason where there is one."""
        side, index = place
        boxes, others = self.sides[side], self.sides[1 - side]
        taken = frozenset(pair[1 - side] for pair in self.matching.pairs)
        record: dict[str, Any] = boxes.select(np.array([index])).to_records()[0]
        record |= nearest_candidate(boxes, index, others, taken, self.limits)
        if text := reasons.get(place):
            record["decision"] = text
        return record


def _figures(reference: Detections, test: Detections, matching: Matching) -> dict[str, FloatArray]:
    rows, columns = ([pair[side] for pair in matching.pairs] for side in (0, 1))
    return pair_differences(
        reference.select(np.array(rows, np.int64)), test.select(np.array(columns, np.int64))
    )
