"""Comparison of decoded boxes from two backends, matched one to one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.config.schema import BoxTolerance
from awml_deploy_core.detections import Detections

IndexArray = npt.NDArray[np.int64]


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


def angle_difference(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Absolute difference of two angles [rad] modulo a full turn, in [0, pi]."""
    turn = 2 * np.pi
    difference = np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)) % turn
    return np.minimum(difference, turn - difference)


def match_boxes(
    reference: Detections, test: Detections, max_distance: float
) -> tuple[list[tuple[int, int]], IndexArray, IndexArray]:
    """Pair boxes of one class by their centres, nearest pairs first.

    Returns:
        Pairs (reference index, test index), and the indices without a partner on either side.
    """
    pairs: list[tuple[int, int]] = []
    for label in np.intersect1d(reference.labels, test.labels):
        rows, columns = np.flatnonzero(reference.labels == label), np.flatnonzero(test.labels == label)
        distances = np.linalg.norm(
            reference.centers[rows, None].astype(np.float64) - test.centers[None, columns], axis=2
        )
        free_rows, free_columns = np.ones(len(rows), bool), np.ones(len(columns), bool)
        for flat in np.argsort(distances, axis=None, kind="stable"):
            row, column = divmod(int(flat), len(columns))
            if not distances[row, column] <= max_distance:
                break
            if free_rows[row] and free_columns[column]:
                free_rows[row] = free_columns[column] = False
                pairs.append((int(rows[row]), int(columns[column])))
    pairs.sort()
    lone_reference = np.setdiff1d(np.arange(len(reference)), [pair[0] for pair in pairs])
    lone_test = np.setdiff1d(np.arange(len(test)), [pair[1] for pair in pairs])
    return pairs, lone_reference, lone_test


@dataclass(frozen=True)
class DetectionsComparator:
    """Compares Detections box by box."""

    tolerance: BoxTolerance = field(default_factory=BoxTolerance)

    def compare(self, reference: Detections, test: Detections) -> OutputComparison:
        """Match the boxes of each class and check every pair and every box left over."""
        if reference.class_names != test.class_names:
            failure = f"class names {test.class_names}, reference {reference.class_names}"
            return OutputComparison((failure,), "", {})
        limits = self.tolerance
        pairs, lone_reference, lone_test = match_boxes(reference, test, limits.match_distance)
        figures = _differences(reference.select(_column(pairs, 0)), test.select(_column(pairs, 1)))
        worst = {name: float(values.max(initial=0.0)) for name, values in figures.items()}
        failures = []
        for name, values in figures.items():
            limit = getattr(limits, name)
            if over := int(np.count_nonzero(~(values <= limit))):
                failures.append(
                    f"{name} of {over} boxes differs by up to {worst[name]:.3g}, limit {limit:.3g}"
                )
        missing, extra = len(lone_reference), len(lone_test)
        if max(missing, extra) > limits.max_unmatched:
            failures.append(
                f"{missing} of {len(reference)} reference boxes and {extra} of {len(test)} test boxes "
                "have no partner"
            )
        is_empty = not len(reference) and not len(test)
        matched = f"{len(pairs)} boxes matched one to one, position within {worst['position']:.2e} m"
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


def _column(pairs: list[tuple[int, int]], side: int) -> IndexArray:
    return np.array([pair[side] for pair in pairs], np.int64)


def _differences(a: Detections, b: Detections) -> dict[str, npt.NDArray[np.float64]]:
    """Per pair: centre distance [m], largest difference of a side [m], heading modulo a full turn
    [rad], length of the velocity difference [m/s], score."""

    def minus(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        difference: npt.NDArray[np.float64] = left.astype(np.float64) - right
        return difference

    return {
        "position": np.linalg.norm(minus(a.centers, b.centers), axis=1),
        "size": np.abs(minus(a.sizes, b.sizes)).max(axis=1),
        "yaw": angle_difference(a.yaws, b.yaws),
        "velocity": np.linalg.norm(minus(a.velocities, b.velocities), axis=1),
        "score": np.abs(minus(a.scores, b.scores)),
    }
