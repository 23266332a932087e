"""Which boxes rounding could decide otherwise: decoding with loosened thresholds.

Two heads whose logits differ by at most d give a box on both sides if its logit exceeds its
threshold's by d; otherwise the decision is narrow. Likewise for the norm of the rot channels, for
the distance bin that the centre falls in, and for the class where two logits are within 2 d.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.pipeline import Candidates, SuppressionRule
from awml_extractors.centerpoint.class_remapper import ClassRemapper
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import HeadMaps, boxes_at
from awml_extractors.centerpoint.options import PostprocessOptions

FloatArray = npt.NDArray[np.float64]

_FLOAT32 = 4e-7
"""Rounding of a float32 score, which the thresholds are compared with."""


@dataclass(frozen=True, eq=False)
class _Found:
    """Candidates of one class choice: rank 0 is a cell's best class, 1 its second."""

    cells: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    logits: FloatArray
    narrow: list[str]


def find_candidates(
    maps: HeadMaps,
    config: CenterPointConfig,
    options: PostprocessOptions,
    remapper: ClassRemapper,
    margins: Mapping[str, float],
) -> Candidates:
    """Boxes before suppression that pass the decoder's thresholds loosened by the margins.

    Args:
        maps: The head's outputs.
        config: The variant.
        options: Those in force.
        remapper: Applied to the candidates as to the detections.
        margins: Largest differences of the head's outputs by name; of ``heatmap`` in logits.
    """
    logit_margin = margins.get("heatmap", 0.0)
    find = _mmdet3d if options.decoder == "mmdet3d" else _autoware
    found = find(maps, config, options, margins)
    scores = _sigmoid(found.logits)
    x, y = _centers(maps, config, found.cells)
    order = np.argsort(-scores.astype(np.float32), kind="stable")
    decoded = boxes_at(
        maps,
        config,
        found.cells.astype(np.int32),
        x.astype(np.float32),
        y.astype(np.float32),
        scores.astype(np.float32),
        found.labels.astype(np.int32),
    )
    boxes, narrow = decoded.detections, [found.narrow[i] for i in order]
    spread = (scores * (1 - scores) * logit_margin + _FLOAT32)[order]
    is_autoware = options.decoder == "autoware"
    rules = [
        SuppressionRule("distance", options.circle_nms_dist_threshold)
        if is_autoware
        else SuppressionRule("distance", float(np.sqrt(options.mmdet3d_min_radius)))
    ]
    if is_autoware and options.iou_nms_search_distance_2d > 0.0:
        rules.append(SuppressionRule("iou", options.iou_nms_threshold))
    return Candidates(
        remapper.remap(boxes),
        spread,
        tuple(narrow),
        tuple(rules),
        None if is_autoware else options.mmdet3d_post_max,
    )


def _autoware(
    maps: HeadMaps, config: CenterPointConfig, options: PostprocessOptions, margins: Mapping[str, float]
) -> _Found:
    margin, names = margins.get("heatmap", 0.0), config.class_names
    thresholds = np.array([options.score_thresholds(name) for name in names], np.float64)
    floor = _logit(float(thresholds.min())) - margin - 1e-5
    best = maps.heatmap.max(axis=0)
    cells = np.flatnonzero(best >= floor)
    logits = maps.heatmap[:, cells].astype(np.float64)
    ranks = np.argsort(-logits, axis=0, kind="stable")
    x, y = _centers(maps, config, cells)
    radius = np.hypot(x, y)
    step = max(config.voxel_size[:2]) * config.out_size_factor
    reach = np.sqrt(2) * step * margins.get("reg", 0.0) + 1e-5
    limits = np.array(options.distance_bin_upper_limits, np.float64)
    yaw_norms = np.array([options.yaw_norm_threshold(name) for name in names], np.float64)
    norms = np.hypot(maps.rot[0, cells], maps.rot[1, cells]).astype(np.float64)
    norm_margin = np.sqrt(2) * margins.get("rot", 0.0) + 1e-6
    bins = [np.searchsorted(limits, radius + shift, side="right") for shift in (0.0, -reach, reach)]
    chosen: list[tuple[int, int, float, str]] = []
    columns = np.arange(len(cells))
    lead = logits[ranks[0], columns] - (logits[ranks[1], columns] if len(names) > 1 else -np.inf)
    for rank in range(min(2, len(names))):
        for k in columns.tolist():
            if rank and not lead[k] <= 2 * margin:
                continue
            label = int(ranks[rank, k])
            reasons = []
            if lead[k] <= 2 * margin and margin > 0.0:
                rival = names[int(ranks[1 - rank, k])]
                reasons.append(f"its class ties with {rival} within {2 * margin:.2e} logits")
            places = sorted({int(place[k]) for place in bins})
            known = [float(thresholds[label, place]) for place in places if place < len(limits)]
            if not known:
                continue
            if len(places) > 1:
                reasons.append(f"its distance {radius[k]:.4f} m is at the limit of a distance bin")
            logit = float(logits[label, k])
            if (reason := _threshold_reason(logit, min(known), max(known), margin)) is None:
                continue
            reasons += [reason] if reason else []
            if norms[k] < yaw_norms[label] - norm_margin:
                continue
            if abs(norms[k] - yaw_norms[label]) <= norm_margin and yaw_norms[label] > 0.0:
                reasons.append(
                    f"its rot norm {norms[k]:.6f} is within {norm_margin:.1e} of {yaw_norms[label]:g}"
                )
            chosen.append((int(cells[k]), label, logit, "; ".join(reasons)))
    return _found(maps, chosen)


def _threshold_reason(logit: float, least: float, greatest: float, margin: float) -> str | None:
    """None if a logit is clearly below, empty if clearly above, else how near it is."""
    slack = margin + 1e-6
    if least > 0.0 and logit < _logit(least) - slack:
        return None
    if greatest > 0.0 and logit < _logit(greatest) + slack:
        score = float(_sigmoid(np.array(logit)))
        return f"its score {score:.6f} is within {slack:.2e} logits of the threshold {greatest:g}"
    return ""


def _mmdet3d(
    maps: HeadMaps, config: CenterPointConfig, options: PostprocessOptions, margins: Mapping[str, float]
) -> _Found:
    margin, size = margins.get("heatmap", 0.0), maps.heatmap.shape[1]
    threshold = options.mmdet3d_score_threshold
    flat = maps.heatmap.reshape(-1).astype(np.float64)
    last = -np.inf
    if len(flat) > options.mmdet3d_pre_max:
        last = float(np.partition(flat, -options.mmdet3d_pre_max)[-options.mmdet3d_pre_max])
    floor = max(_logit(threshold), last)
    chosen = []
    for place in np.flatnonzero(flat >= floor - 2 * margin - 1e-6).tolist():
        label, cell = divmod(place, size)
        logit = float(flat[place])
        reason = _threshold_reason(logit, threshold, threshold, margin)
        if reason is None:
            continue
        if not reason and logit <= last + 2 * margin and margin > 0.0:
            reason = (
                f"it is among the last of the best {options.mmdet3d_pre_max} within {2 * margin:.2e} logits"
            )
        chosen.append((cell, label, logit, reason))
    return _found(maps, chosen)


def _found(maps: HeadMaps, chosen: list[tuple[int, int, float, str]]) -> _Found:
    """Those whose boxes are finite: the decoders drop the others."""
    with np.errstate(over="ignore"):
        values = (maps.reg, maps.height, np.exp(maps.dim[:3]), maps.rot, maps.vel)
        finite = np.all([np.isfinite(value).all(axis=0) for value in values], axis=0)
    chosen = [item for item in chosen if finite[item[0]]]
    return _Found(
        np.array([item[0] for item in chosen], np.int64),
        np.array([item[1] for item in chosen], np.int64),
        np.array([item[2] for item in chosen], np.float64),
        [item[3] for item in chosen],
    )


def _centers(
    maps: HeadMaps, config: CenterPointConfig, cells: npt.NDArray[Any]
) -> tuple[FloatArray, FloatArray]:
    row, column = np.divmod(cells, config.output_size[0])
    x, y = (
        (index + maps.reg[axis, cells].astype(np.float64))
        * config.voxel_size[axis]
        * config.out_size_factor
        + config.point_cloud_range[axis]
        for axis, index in enumerate((column, row))
    )
    return x, y


def _sigmoid(logits: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        result: FloatArray = 1.0 / (1.0 + np.exp(-logits))
    return result


def _logit(score: float) -> float:
    if score <= 0.0:
        return -np.inf
    return float(np.log(score / (1.0 - score))) if score < 1.0 else np.inf
