"""Non-maximum suppression of boxes that are sorted by score, best first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ParameterError
from awml_extractors.arithmetic import cos_sin
from awml_extractors.centerpoint.bev_iou import SCRATCH_SHAPE, box_overlap
from awml_extractors.centerpoint.options import PostprocessOptions
from awml_extractors.jit import kernel, read_only, writable

PEDESTRIAN = "PEDESTRIAN"
MIN_UNION_AREA = 0.01
"""Union [m^2] below which Autoware takes an IoU as zero."""
_MAX_CELLS_PER_AXIS = 1024

Mask = npt.NDArray[np.bool_]


@kernel(
    read_only(types.float32),
    read_only(types.float32),
    read_only(types.int32, 2),
    types.float32,
    types.boolean,
    writable(types.int32, 2),
    writable(types.int32),
    writable(types.boolean),
)
def _circle_nms(
    x: Any, y: Any, places: Any, limit: Any, inclusive: bool, heads: Any, following: Any, keep: Any
) -> None:
    rows, columns = heads.shape
    for i in range(len(x)):
        suppressed = False
        row, column = places[i, 0], places[i, 1]
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                j = heads[r, c]
                while j >= 0 and not suppressed:
                    dx, dy = x[i] - x[j], y[i] - y[j]
                    squared = dx * dx + dy * dy
                    suppressed = squared < limit or (inclusive and squared == limit)
                    j = following[j]
        keep[i] = not suppressed
        if not suppressed:
            following[i] = heads[row, column]
            heads[row, column] = i


@kernel(
    read_only(types.float64, 2),
    read_only(types.boolean),
    read_only(types.int32),
    read_only(types.int32, 2),
    types.float64,
    types.float64,
    writable(types.float64, 2),
    writable(types.int32, 2),
    writable(types.int32),
    writable(types.boolean),
)
def _iou_nms(
    boxes: Any,
    pedestrian: Any,
    labels: Any,
    places: Any,
    search_distance: float,
    threshold: float,
    scratch: Any,
    heads: Any,
    following: Any,
    keep: Any,
) -> None:
    rows, columns = heads.shape
    for i in range(len(boxes)):
        suppressed = False
        row, column = places[i, 0], places[i, 1]
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                j = heads[r, c]
                while j >= 0 and not suppressed:
                    exempt = labels[i] != labels[j] and (pedestrian[i] or pedestrian[j])
                    dx, dy = boxes[i, 0] - boxes[j, 0], boxes[i, 1] - boxes[j, 1]
                    if not exempt and dx * dx + dy * dy <= search_distance * search_distance:
                        overlap = box_overlap(boxes[i], boxes[j], scratch)
                        union = boxes[i, 2] * boxes[i, 3] + boxes[j, 2] * boxes[j, 3] - overlap
                        suppressed = union >= MIN_UNION_AREA and overlap / union > threshold
                    j = following[j]
        keep[i] = not suppressed
        following[i] = heads[row, column]
        heads[row, column] = i


def circle_nms(
    centers: npt.NDArray[np.float32], squared_distance: float, *, inclusive: bool = False
) -> Mask:
    """Which boxes stay: a box goes if a kept one before it is nearer, whatever the classes.

    Args:
        centers: float32 ``[N, 2+]``: finite x, y [m], best score first.
        squared_distance: Limit of the squared distance [m^2], compared in float32.
        inclusive: Whether a distance equal to the limit suppresses too.

    Returns:
        bool ``[N]``.
    """
    keep = np.ones(len(centers), np.bool_)
    places, heads = _neighbourhood(centers, float(np.sqrt(squared_distance)))
    _circle_nms(
        np.ascontiguousarray(centers[:, 0], np.float32),
        np.ascontiguousarray(centers[:, 1], np.float32),
        places,
        np.float32(squared_distance),
        inclusive,
        heads,
        np.full(len(centers), -1, np.int32),
        keep,
    )
    return keep


def iou_nms(detections: Detections, search_distance: float, threshold: float) -> Mask:
    """Which boxes stay: a box goes if its rotated BEV IoU with any before it exceeds ``threshold``.

    As in Autoware (``non_maximum_suppression.cpp``) a box that is itself suppressed still
    suppresses others; only pairs at most ``search_distance`` [m] apart are compared, and a
    pedestrian and a box of another class never suppress each other.

    Returns:
        bool ``[N]``.
    """
    boxes = np.column_stack(
        [detections.centers[:, :2], detections.sizes[:, :2], cos_sin(detections.yaws).T]
    )
    keep = np.ones(len(boxes), np.bool_)
    reach = float(np.hypot(boxes[:, 2], boxes[:, 3]).max(initial=0.0))
    places, heads = _neighbourhood(boxes, min(search_distance, reach))
    pedestrian = np.array([name.upper() == PEDESTRIAN for name in detections.class_names], np.bool_)
    _iou_nms(
        boxes,
        pedestrian[detections.labels],
        detections.labels,
        places,
        search_distance,
        threshold,
        np.empty(SCRATCH_SHAPE, np.float64),
        heads,
        np.full(len(boxes), -1, np.int32),
        keep,
    )
    return keep


def suppress(detections: Detections, options: PostprocessOptions) -> Detections:
    """Non-maximum suppression of the options' decoder.

    ``autoware``: circle NMS of centres nearer than ``circle_nms_dist_threshold``, then IoU NMS.
    ``mmdet3d``: circle NMS of centres whose squared distance is at most ``mmdet3d_min_radius``,
    then the first ``mmdet3d_post_max``.
    """
    if options.decoder == "mmdet3d":
        keep = circle_nms(detections.centers, options.mmdet3d_min_radius, inclusive=True)
        return detections.select(np.flatnonzero(keep)[: options.mmdet3d_post_max])
    distance = options.circle_nms_dist_threshold
    detections = detections.select(circle_nms(detections.centers, distance * distance))
    if options.iou_nms_search_distance_2d > 0.0:
        keep = iou_nms(detections, options.iou_nms_search_distance_2d, options.iou_nms_threshold)
        detections = detections.select(keep)
    return detections


def _neighbourhood(
    centers: npt.NDArray[Any], reach: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Cell row and column of every centre, and an empty grid whose cells are at least ``reach`` wide.

    Centres not farther apart than ``reach`` are in the same cell or in adjacent ones.
    """
    if not len(centers):
        return np.zeros((0, 2), np.int32), np.zeros((1, 1), np.int32)
    xy = centers[:, :2].astype(np.float64)
    low = xy.min(axis=0)
    extent = float((xy.max(axis=0) - low).max())
    # Slightly wider than reach, because distances are rounded.
    cell = max(reach * 1.001, extent / _MAX_CELLS_PER_AXIS, 1e-6)
    if not np.isfinite(cell):
        raise ParameterError("boxes", "centres or distances are not finite", got=cell)
    places = ((xy - low) / cell).astype(np.int32)[:, ::-1]
    shape = places.max(axis=0) + 1
    return np.ascontiguousarray(places), np.full(shape, -1, np.int32)
