"""Boxes of one image against its ground truth, and against those of another backend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from awml_deploy_core.detections2d import Detections2D, GroundTruth2D, box_areas, pairwise_iou
from awml_deploy_core.evaluation.agreement import BoxAgreement, check_class_names
from awml_deploy_core.evaluation.matching import NO_MATCH, FloatArray, greedy_match
from awml_deploy_core.verification.matching2d import match_by_overlap


@dataclass(frozen=True)
class ImageCounts:
    """How right the boxes of one image are."""

    found: int
    missed: int
    false: int

    @property
    def f1(self) -> float:
        """Of the boxes; 1 where nothing is and nothing was found."""
        wrong = self.missed + self.false
        return 2 * self.found / (2 * self.found + wrong) if self.found + wrong else 1.0


def count_matches(found: Detections2D, truth: GroundTruth2D, min_iou: float) -> ImageCounts:
    """Match by class, best score first, each box to the ground truth it overlaps most.

    A crowd need not be found; boxes that lie in one by at least ``min_iou`` of their area are not false.
    """
    order = np.argsort(-found.scores, kind="stable")
    found = found.select(order)
    there = truth.boxes
    names = np.array(there.class_names)[there.labels] if len(there) else np.zeros(0, "U1")
    same = (np.array(found.class_names)[found.labels])[:, None] == names[None] if len(found) else None
    single = np.flatnonzero(~truth.is_crowd)
    if same is None:
        return ImageCounts(0, len(single), 0)
    overlap = np.where(same, pairwise_iou(found.boxes, there.boxes), -1.0)
    # A match is nearer than the limit, so the limit itself has to lie a little farther.
    matched = greedy_match(1.0 - overlap[:, single], (np.nextafter(1.0 - min_iou, 2.0),))[0] != NO_MATCH
    crowds = np.flatnonzero(truth.is_crowd)
    inside = _share_inside(found, there.select(crowds)) if len(crowds) else np.zeros((len(found), 0))
    excused = (np.where(same[:, crowds], inside, 0.0) >= min_iou).any(axis=1)
    hits = int(matched.sum())
    return ImageCounts(hits, len(single) - hits, int((~matched & ~excused).sum()))


def _share_inside(boxes: Detections2D, others: Detections2D) -> FloatArray:
    """float64 [N, M]: part of every box that lies in every other."""
    low = np.maximum(boxes.boxes[:, None, :2], others.boxes[None, :, :2]).astype(np.float64)
    high = np.minimum(boxes.boxes[:, None, 2:], others.boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = np.maximum(box_areas(boxes.boxes), np.finfo(np.float64).tiny)
    share: FloatArray = shared / areas[:, None]
    return share


def compare_images(reference: Detections2D, test: Detections2D, min_iou: float) -> BoxAgreement:
    """Match the boxes of two backends, best overlap first.

    The differences are ``corner_px``, the largest of a coordinate, and ``score``.

    Raises:
        EvaluationError: The classes of both sides differ.
    """
    check_class_names(reference.class_names, test.class_names)
    pairs = match_by_overlap(reference, test, min_iou)
    rows, columns = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    corners = np.abs(reference.boxes[rows].astype(np.float64) - test.boxes[columns])
    scores = reference.scores[rows].astype(np.float64) - test.scores[columns]
    differences = {"corner_px": corners.max(axis=1, initial=0.0), "score": np.abs(scores)}
    matched = len(pairs)
    return BoxAgreement(matched, len(reference) - matched, len(test) - matched, differences)
