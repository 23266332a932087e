"""One-to-one matching of the boxes of two backends, and why a box has no partner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.verification.bev_iou import bev_iou
from awml_deploy_core.verification.tolerances import BoxLimits

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Matching:
    """Which box of the test is which of the reference."""

    pairs: tuple[tuple[int, int], ...]
    """(reference index, test index), by reference index."""
    lone_reference: tuple[int, ...]
    lone_test: tuple[int, ...]


def center_distances(a: Detections, b: Detections) -> FloatArray:
    """float64 [len(a), len(b)]: distances of the centres [m]."""
    difference = a.centers[:, None].astype(np.float64) - b.centers[None]
    distances: FloatArray = np.linalg.norm(difference, axis=2)
    return distances


def match_boxes(reference: Detections, test: Detections, limits: BoxLimits) -> Matching:
    """Pair boxes of one class that are near and overlap, nearest pairs first.

    Taking the nearest pairs first is enough where boxes of a class are farther apart than two
    backends differ, which suppression sees to; it never depends on the order of the boxes.
    """
    distances = center_distances(reference, test)
    distances[reference.labels[:, None] != test.labels[None]] = np.inf
    free_rows, free_columns = np.ones(len(reference), bool), np.ones(len(test), bool)
    pairs = []
    rows, columns = np.nonzero(distances <= limits.match_distance)
    for place in np.argsort(distances[rows, columns], kind="stable"):
        row, column = int(rows[place]), int(columns[place])
        if free_rows[row] and free_columns[column]:
            if bev_iou(reference, row, test, column) < limits.min_iou:
                continue
            free_rows[row] = free_columns[column] = False
            pairs.append((row, column))
    return Matching(
        tuple(sorted(pairs)),
        tuple(np.flatnonzero(free_rows).tolist()),
        tuple(np.flatnonzero(free_columns).tolist()),
    )


def nearest_candidate(
    boxes: Detections, index: int, others: Detections, taken: frozenset[int], limits: BoxLimits
) -> dict[str, Any]:
    """The nearest box of the other side, JSON-ready, and why it is not the partner.

    Args:
        boxes: The side with the lone box.
        index: The lone box.
        others: The other side.
        taken: Boxes of the other side that have a partner.
        limits: Those of the matching.
    """
    lone = boxes.select(np.array([index]))
    distances = center_distances(lone, others)[0]
    if not np.isfinite(distances).any():
        reason = "the other side has no box" if not len(others) else "no finite distance to any box"
        return {"nearest": None, "why": reason}
    # A box of the class tells more than a nearer one of another class, as long as it is in sight.
    same = np.where(others.labels == lone.labels[0], distances, np.inf)
    near = int(np.nanargmin(same if np.nanmin(same) <= 2 * limits.match_distance else distances))
    iou = bev_iou(lone, 0, others, near)
    distance = float(distances[near])
    reasons = []
    if others.labels[near] != lone.labels[0]:
        reasons.append("it is of another class")
    if distance > limits.match_distance:
        reasons.append(f"it is {distance:.2f} m away, limit {limits.match_distance:g} m")
    elif iou < limits.min_iou:
        reasons.append(f"their overlap is {iou:.2f}, limit {limits.min_iou:g}")
    if not reasons and near in taken:
        reasons.append("it belongs to a nearer box")
    record = others.select(np.array([near])).to_records()[0]
    return {
        "nearest": {**record, "distance": distance, "iou": iou},
        "why": "; ".join(reasons) or "a nearer pair came first",
    }


def angle_difference(a: npt.NDArray[Any], b: npt.NDArray[Any], period: float = 2 * np.pi) -> FloatArray:
    """Absolute difference of two angles [rad] modulo a period, at most half of it."""
    difference = np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)) % period
    result: FloatArray = np.minimum(difference, period - difference)
    return result


def pair_differences(a: Detections, b: Detections) -> dict[str, FloatArray]:
    """Differences of boxes that belong together, one a row of both.

    Centre distance [m]; largest difference of a side [m]; yaw modulo half a turn [rad]; heading
    modulo a full turn [rad]; length of the velocity difference [m/s]; score.
    """

    def minus(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> FloatArray:
        difference: FloatArray = left.astype(np.float64) - right
        return difference

    return {
        "position": np.linalg.norm(minus(a.centers, b.centers), axis=1),
        "size": np.abs(minus(a.sizes, b.sizes)).max(axis=1),
        "yaw": angle_difference(a.yaws, b.yaws, np.pi),
        "heading": angle_difference(a.yaws, b.yaws),
        "velocity": np.linalg.norm(minus(a.velocities, b.velocities), axis=1),
        "score": np.abs(minus(a.scores, b.scores)),
    }
