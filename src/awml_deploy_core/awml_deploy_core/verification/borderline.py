"""Boxes that one side has and the other has not because rounding decided.

A detector makes decisions: a score reaches its threshold or not, of two boxes that suppress each
other the higher score stays. Two correct backends whose tensors differ by rounding decide
differently where a decision is narrower than that difference. The margin is not chosen: it is the
largest difference measured between the two backends' tensors in this sample, capped by what their
tolerance allows, so a defect cannot excuse itself.

A box without a partner is borderline if any of these holds:

- its own side, or the other side that decoded it too, passed or failed a threshold by less than the
  margin (``Candidates.narrow``);
- the other side decoded it as well and suppressed it for a box whose score ties with it within the
  margin;
- or whose distance or overlap lies on the other side of the suppression's threshold there;
- or which is itself borderline;
- the other side is full, and its last score ties with this one.

Anything else is a failure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import Candidates, SuppressionRule
from awml_deploy_core.verification.bev_iou import bev_iou
from awml_deploy_core.verification.matching import center_distances, pair_differences
from awml_deploy_core.verification.tolerances import BoxLimits

REFERENCE, TEST = 0, 1

Place = tuple[int, int]
"""Side and index of a box."""


@dataclass(frozen=True, eq=False)
class Side:
    """What one backend gave."""

    boxes: Detections
    candidates: Candidates


def explain(
    sides: tuple[Side, Side],
    lone: Iterable[Place],
    partners: dict[Place, int],
    limits: BoxLimits,
) -> tuple[dict[Place, str], dict[Place, str]]:
    """Sort boxes without a partner into borderline ones and failures.

    Args:
        sides: Reference and test.
        lone: Boxes of either side without a partner that agrees.
        partners: Of the other boxes.
        limits: Those of the comparison.

    Returns:
        The reason by box for those that are borderline, and what is known of the others.
    """
    judge = _Judge(sides, partners, limits)
    pending = list(lone)
    borderline: dict[Place, str] = {}
    while True:
        found = {place: text for place in pending if (text := judge.reason(place, borderline))}
        borderline |= found
        pending = [place for place in pending if place not in found]
        if not found:
            return borderline, {place: judge.verdict(place) for place in pending}


class _Judge:
    def __init__(self, sides: tuple[Side, Side], partners: dict[Place, int], limits: BoxLimits) -> None:
        self._sides = sides
        self._partners = partners
        self._limits = limits

    def reason(self, place: Place, borderline: dict[Place, str]) -> str:
        """Why a lone box is borderline, given those already known to be; empty if it is not."""
        own, other, name = self._around(place)
        itself = _same(own.candidates, own.boxes, place[1], None)
        if itself is not None and own.candidates.narrow[itself]:
            return own.candidates.narrow[itself]
        twin = _same(other.candidates, own.boxes, place[1], self._limits)
        if twin is None:
            return ""
        if text := other.candidates.narrow[twin]:
            return f"in the {name}: {text}"
        return self._suppression(place, twin, borderline)

    def verdict(self, place: Place) -> str:
        """What became of a lone box on the other side, where rounding does not explain it."""
        own, other, name = self._around(place)
        twin = _same(other.candidates, own.boxes, place[1], self._limits)
        if twin is None:
            return f"the {name} decodes no such box"
        return f"the {name} decodes it too and suppresses it, which rounding does not explain"

    def _around(self, place: Place) -> tuple[Side, Side, str]:
        side = place[0]
        return self._sides[side], self._sides[1 - side], ("test" if side == REFERENCE else "reference")

    def _suppression(self, place: Place, twin: int, borderline: dict[Place, str]) -> str:
        own, other, name = self._around(place)
        candidates, index = other.candidates, np.array([twin])
        score, margin = float(candidates.boxes.scores[twin]), float(candidates.score_margins[twin])
        dropped = candidates.boxes.select(index)
        full = candidates.max_boxes is not None and len(other.boxes) >= candidates.max_boxes
        if full and score <= float(other.boxes.scores.min()) + 2 * margin:
            return f"the {name} has no room for it: its score {score:.4f} ties with the last one there"
        distances = center_distances(dropped, other.boxes)[0]
        for kept in np.argsort(distances, kind="stable").tolist():
            if not _can_suppress(candidates.rules, dropped, 0, other.boxes, kept):
                continue
            there = (1 - place[0], kept)
            rival = f"{other.boxes.class_names[int(other.boxes.labels[kept])]} beside it"
            if there in borderline:
                return f"suppressed in the {name} by a {rival} that is borderline itself"
            same = _same(candidates, other.boxes, kept, None)
            reach = margin + (margin if same is None else float(candidates.score_margins[same]))
            if abs(score - float(other.boxes.scores[kept])) <= reach:
                return f"its score {score:.4f} ties with that of the {rival}, which the {name} keeps"
            partner = self._partners.get(there)
            if partner is not None:
                for rule in candidates.rules:
                    here = _value(rule, own.boxes, place[1], own.boxes, partner)
                    over = _value(rule, dropped, 0, other.boxes, kept)
                    if _separates(rule.threshold, here, over):
                        return (
                            f"its {rule.kind} to the {rival} is {here:.6g}, in the {name} {over:.6g}, "
                            f"on either side of the threshold {rule.threshold:g}"
                        )
        return ""


def _can_suppress(rules: tuple[SuppressionRule, ...], a: Detections, i: int, b: Detections, j: int) -> bool:
    """Whether any rule, within rounding, lets one box suppress the other."""
    for rule in rules:
        value = _value(rule, a, i, b, j)
        slack = 1e-3 * rule.threshold + 1e-6
        if value <= rule.threshold + slack if rule.kind == "distance" else value >= rule.threshold - slack:
            return True
    return False


def _value(rule: SuppressionRule, a: Detections, i: int, b: Detections, j: int) -> float:
    if rule.kind == "iou":
        return bev_iou(a, i, b, j)
    return float(np.linalg.norm(a.centers[i, :2].astype(np.float64) - b.centers[j, :2]))


def _separates(threshold: float, a: float, b: float) -> bool:
    slack = 1e-6
    return min(a, b) - slack <= threshold <= max(a, b) + slack


def _same(candidates: Candidates, boxes: Detections, index: int, limits: BoxLimits | None) -> int | None:
    """The candidate that is the box: the very same without limits, else the nearest that agrees."""
    rows = np.flatnonzero(candidates.boxes.labels == boxes.labels[index])
    if not len(rows):
        return None
    found = candidates.boxes.select(rows)
    copies = boxes.select(np.full(len(rows), index))
    differences = pair_differences(copies, found)
    within = np.ones(len(rows), bool)
    for name in ("position", "size", "yaw", "velocity", "score"):
        within &= differences[name] <= (1e-6 if limits is None else getattr(limits, name))
    if not within.any():
        return None
    return int(rows[np.flatnonzero(within)[differences["position"][within].argmin()]])
