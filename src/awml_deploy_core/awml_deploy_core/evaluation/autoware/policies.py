"""What makes a detection a match: distance of centres, of the nearest planes, or overlap.

Source: ``perception_eval/evaluation/matching/object_matching.py`` of
github.com/tier4/autoware_perception_evaluation at commit 96b7182.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation.footprint import FloatArray, box_corners, overlap_areas
from awml_deploy_core.evaluation.matching import distances_from_above

Scores = Callable[[Detections, Detections], FloatArray]


@dataclass(frozen=True)
class MatchingPolicy:
    """A way to compare boxes."""

    name: str
    scores: Scores
    """From P detections and G boxes of ground truth to float64 [P, G]."""
    larger_is_better: bool = False
    """A match has a score above the threshold; otherwise below it."""

    def costs(self, found: Detections, there: Detections) -> FloatArray:
        """float64 [P, G]: the smaller the better."""
        scores = self.scores(found, there)
        return -scores if self.larger_is_better else scores

    def limits(self, thresholds: tuple[float, ...]) -> tuple[float, ...]:
        """What the cost of a match is below."""
        return tuple(-value for value in thresholds) if self.larger_is_better else thresholds


def center_distance(found: Detections, there: Detections) -> FloatArray:
    """float64 [P, G]: distance of the centres [m]."""
    difference = found.centers[:, None].astype(np.float64) - there.centers[None]
    distances: FloatArray = np.linalg.norm(difference, axis=2)
    return distances


def center_distance_bev(found: Detections, there: Detections) -> FloatArray:
    """float64 [P, G]: distance of the centres seen from above [m]."""
    return distances_from_above(found.centers, there.centers)


def plane_distance(found: Detections, there: Detections) -> FloatArray:
    """Distance of the side of each box that is nearest to the vehicle.

    Of the ground truth, the two corners nearest to the origin of the frame; of the detection, the same
    two, after half a turn if its heading is more than a quarter off. The root of the mean squared
    distance of both corners, seen from above.

    Returns:
        float64 [P, G] [m].
    """
    corners, true_corners = box_corners(found), box_corners(there)
    nearest = np.argsort(np.linalg.norm(true_corners, axis=2), axis=1, kind="stable")[:, :2]
    true_sides = np.take_along_axis(true_corners, nearest[..., None], axis=1)
    turn = found.yaws[:, None].astype(np.float64) - there.yaws[None]
    is_reversed = np.abs((turn + np.pi) % (2 * np.pi) - np.pi) > np.pi / 2
    # [P, G, 2]: which corner of the detection is which of the ground truth's.
    chosen = (nearest[None] + np.where(is_reversed, 2, 0)[..., None]) % 4
    sides = corners[np.arange(len(corners))[:, None, None], chosen]
    squared = ((sides - true_sides[None]) ** 2).sum(axis=3)
    distances: FloatArray = np.sqrt(squared.mean(axis=2))
    return distances


def iou_bev(found: Detections, there: Detections) -> FloatArray:
    """float64 [P, G]: intersection over union of the outlines seen from above."""
    shared = _shared_areas(found, there)
    return _over_union(shared, _areas(found), _areas(there))


def iou_3d(found: Detections, there: Detections) -> FloatArray:
    """float64 [P, G]: intersection over union of the volumes."""
    (low, high), (true_low, true_high) = _heights(found), _heights(there)
    common = np.minimum(high[:, None], true_high) - np.maximum(low[:, None], true_low)
    shared = _shared_areas(found, there) * np.maximum(common, 0.0)
    return _over_union(shared, _areas(found) * (high - low), _areas(there) * (true_high - true_low))


def _shared_areas(found: Detections, there: Detections) -> FloatArray:
    """float64 [P, G] [m^2], computed only for pairs that are near enough to touch."""
    reach = [np.hypot(boxes.sizes[:, 0], boxes.sizes[:, 1]) / 2 for boxes in (found, there)]
    near = center_distance_bev(found, there) < reach[0][:, None] + reach[1]
    rows, columns = np.nonzero(near)
    areas = np.zeros(near.shape)
    areas[rows, columns] = overlap_areas(box_corners(found)[rows], box_corners(there)[columns])
    return areas


def _areas(boxes: Detections) -> FloatArray:
    areas: FloatArray = boxes.sizes[:, 0].astype(np.float64) * boxes.sizes[:, 1]
    return areas


def _heights(boxes: Detections) -> tuple[FloatArray, FloatArray]:
    middle, half = boxes.centers[:, 2].astype(np.float64), boxes.sizes[:, 2].astype(np.float64) / 2
    return middle - half, middle + half


def _over_union(shared: FloatArray, sizes: FloatArray, true_sizes: FloatArray) -> FloatArray:
    ratios: FloatArray = shared / (sizes[:, None] + true_sizes - shared)
    return ratios


POLICIES: Mapping[str, MatchingPolicy] = {
    policy.name: policy
    for policy in (
        MatchingPolicy("center_distance", center_distance),
        MatchingPolicy("center_distance_bev", center_distance_bev),
        MatchingPolicy("plane_distance", plane_distance),
        MatchingPolicy("iou_bev", iou_bev, larger_is_better=True),
        MatchingPolicy("iou_3d", iou_3d, larger_is_better=True),
    )
}
"""By name."""
