"""Probes of CenterPoint's pipeline: boxes, thresholds, suppression and pillars that are known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from awml_deploy_core.family import Probe
from awml_extractors.centerpoint.class_remapper import LABELS
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.options import PostprocessOptions
from awml_extractors.centerpoint.probe_encoding import KnownBox, ProbeGeometry, encode, expected
from awml_extractors.centerpoint.probe_pillars import known_cloud, pillar_probe
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD

DECODERS = ("autoware", "mmdet3d")
_FAR = 1e4
_QUARTER = math.pi / 2
_CORNER_YAW = 2.0


def probes(config: CenterPointConfig) -> tuple[Probe, ...]:
    """Every decoder with boxes all over the range, then its thresholds, its suppression, the class
    remapper, and the way of points into pillars and onto the canvas."""
    found = [
        _probe(config, f"boxes, decoder {name}", spread(config), _open(config, name)) for name in DECODERS
    ]
    found += [
        _thresholds(config),
        *_suppression(config),
        *_remapper(config),
        pillar_probe(config, _open(config, "autoware")),
    ]
    return tuple(found)


def spread(config: CenterPointConfig) -> list[KnownBox]:
    """Every class in all quadrants of the yaw and along the axes, all over the range and in its corners.

    No two boxes overlap or are near enough to suppress each other, and length, width and height differ.
    """
    low, high = config.point_cloud_range[:3], config.point_cloud_range[3:]
    yaws = [0.4, 2.0, -2.7, -1.1]
    plan = [(label, yaw + 0.07 * label) for label in range(len(config.class_names)) for yaw in yaws]
    plan += [(0, yaw) for yaw in (0.0, _QUARTER, math.pi, -_QUARTER)]
    side = math.ceil(math.sqrt(len(plan)))
    pitch = [(high[axis] - low[axis]) / side for axis in (0, 1)]
    unit = min(*pitch, 12.0)
    boxes = []
    for index, (label, yaw) in enumerate(plan):
        row, column = divmod(index, side)
        shift = [0.5 + 0.13 * math.sin(1.7 * index), 0.5 + 0.13 * math.cos(2.3 * index)]
        x, y = (low[axis] + (place + shift[axis]) * pitch[axis] for axis, place in enumerate((column, row)))
        z = low[2] + (high[2] - low[2]) * (0.3 + 0.4 * index / len(plan))
        size = (
            unit * (0.35 + 0.2 * index / len(plan)),
            unit * (0.18 + 0.01 * (index % 7)),
            1.0 + 0.05 * index,
        )
        velocity = (0.7 * (index % 9) - 2.9, 0.4 * (index % 11) + 0.3)
        boxes.append(KnownBox(label, (x, y, z), size, yaw, velocity))
    step = ProbeGeometry(config).step
    for index, (left, bottom) in enumerate(((True, True), (True, False), (False, True), (False, False))):
        x = low[0] + 0.3 * step[0] if left else high[0] - 0.2 * step[0]
        y = low[1] + 0.1 * step[1] if bottom else high[1] - 0.4 * step[1]
        size = (0.15 * unit, 0.1 * unit, 1.5)
        boxes.append(KnownBox(0, (x, y, 0.5), size, _CORNER_YAW, (1.0, float(index))))
    return _scored(boxes, 0.5, 0.9)


def _scored(boxes: Sequence[KnownBox], low: float, high: float) -> list[KnownBox]:
    """The boxes with scores of their own, falling in their order."""
    scores = np.linspace(high, low, len(boxes)).tolist()
    return [replace(box, score=score) for box, score in zip(boxes, scores, strict=True)]


def _probe(
    config: CenterPointConfig,
    name: str,
    boxes: Sequence[KnownBox],
    options: Mapping[str, Any],
    class_names: Sequence[str] | None = None,
) -> Probe:
    return Probe(
        name,
        known_cloud(config)[0],
        {BACKBONE_NECK_HEAD: encode(config, boxes)},
        options,
        expected(config, boxes, class_names),
    )


def _open(config: CenterPointConfig, decoder: str) -> dict[str, Any]:
    """Options under which every box passes, wherever it is."""
    return {
        "decoder": decoder,
        "remap_classes": False,
        "distance_bin_upper_limits": (_FAR,),
        "min_confidence_scores": dict.fromkeys(config.class_names, (0.1,)),
        "mmdet3d_pre_max": 1000,
        "mmdet3d_score_threshold": 0.1,
        "mmdet3d_post_max": 1000,
    }


def _free_cells(config: CenterPointConfig) -> Iterator[tuple[int, int]]:
    """Cells, column and row, one after another: boxes may be said by any."""
    width, height = config.output_size
    for index in count():
        row, column = divmod(index, width)
        yield column, row % height


def _thresholds(config: CenterPointConfig) -> Probe:
    """Scores and rot norms on either side of the thresholds of every class and distance bin."""
    options, cells = config.postprocess, _free_cells(config)
    boxes = []
    classes = len(config.class_names)
    lower = 0.0
    for place, upper in enumerate(options.distance_bin_upper_limits):
        radius = (lower + min(upper, 2 * lower + 50.0)) / 2
        for label, name in enumerate(config.class_names):
            threshold = options.score_thresholds(name)[place]
            for turn, (score, kept) in enumerate(((threshold + 0.01, True), (threshold - 0.01, False))):
                if not 0.0 < score < 1.0:
                    continue
                angle = 2 * math.pi * (2 * label + turn + 0.25) / (2 * classes)
                # A little more for each, so that all scores differ.
                score += 1e-5 * (len(boxes) if kept else -len(boxes))
                center = (radius * math.cos(angle), radius * math.sin(angle), 0.0)
                boxes.append(
                    KnownBox(label, center, (0.5, 0.4, 1.0), 0.3, score=score, cell=next(cells), kept=kept)
                )
        lower = upper
    boxes += _rot_norms(config, cells)
    chosen = {"decoder": "autoware", "remap_classes": False}
    return _probe(config, "thresholds, decoder autoware", boxes, chosen)


def _rot_norms(config: CenterPointConfig, cells: Iterator[tuple[int, int]]) -> Iterator[KnownBox]:
    options = config.postprocess
    radius = options.distance_bin_upper_limits[0] / 5
    for label, name in enumerate(config.class_names):
        limit = options.yaw_norm_threshold(name)
        for turn, (norm, kept) in enumerate(((1.1 * limit, True), (0.9 * limit, False))):
            angle = math.pi * (2 * label + turn) / len(config.class_names)
            center = (radius * math.cos(angle), radius * math.sin(angle), 0.0)
            score = options.score_thresholds(name)[0] * 0.5 + 0.5 - 1e-3 * label
            if limit > 0.0 and score < 1.0:
                yield KnownBox(
                    label,
                    center,
                    (0.5, 0.4, 1.0),
                    -0.9,
                    score=score,
                    rot_norm=norm,
                    cell=next(cells),
                    kept=kept,
                )


def _suppression(config: CenterPointConfig) -> Iterator[Probe]:
    """Pairs a little nearer, and a little farther apart, than suppression's thresholds."""
    options = config.postprocess
    radii = {
        "autoware": options.circle_nms_dist_threshold,
        "mmdet3d": math.sqrt(options.mmdet3d_min_radius),
    }
    for decoder in DECODERS:
        distance = radii[decoder]
        pairs = [(0.8 * distance, False), (1.25 * distance, True)] if distance > 0.0 else []
        quarter = (config.point_cloud_range[3] - config.point_cloud_range[0]) / 4
        # So small that they do not overlap.
        boxes = _pairs(config, pairs, (0.1 * distance, 0.05 * distance, 1.0), -quarter / 2)
        if decoder == "autoware":
            boxes += _overlaps(options, config, quarter)
        if boxes:
            chosen = _open(config, decoder)
            yield _probe(config, f"suppression, decoder {decoder}", _scored(boxes, 0.6, 0.9), chosen)


def _overlaps(options: PostprocessOptions, config: CenterPointConfig, quarter: float) -> list[KnownBox]:
    """Pairs whose overlap is a little more, and a little less, than suppression's threshold.

    Boxes of length L that are d apart along it share (L - d) / (L + d) of their union.
    """
    threshold, length = options.iou_nms_threshold, min(8.0, quarter)
    if not 0.0 < threshold < 0.8:
        return []
    pairs = [
        (length * (1 - iou) / (1 + iou), kept)
        for iou, kept in ((1.2 * threshold, False), (0.8 * threshold, True))
    ]
    nearest = 1.1 * options.circle_nms_dist_threshold
    if not all(nearest < distance < options.iou_nms_search_distance_2d for distance, _ in pairs):
        return []
    return _pairs(config, pairs, (length, 0.3 * length, 1.5), quarter)


def _pairs(
    config: CenterPointConfig,
    pairs: Sequence[tuple[float, bool]],
    size: tuple[float, float, float],
    y: float,
) -> list[KnownBox]:
    """Pairs of boxes beside each other in x; the second of each comes back or not."""
    width, height = config.output_size
    low, high = config.point_cloud_range[0], config.point_cloud_range[3]
    step = ProbeGeometry(config).step[1]
    row = min(max(int((y - config.point_cloud_range[1]) / step), 0), height - 1)
    boxes = []
    for place, (distance, kept) in enumerate(pairs):
        x = low + (0.15 + 0.5 * place) * (high - low)
        column = 4 * place % width
        boxes += [
            KnownBox(0, (x, y, 0.0), size, cell=(column, row)),
            KnownBox(0, (x + distance, y, 0.0), size, cell=((column + 1) % width, row), kept=kept),
        ]
    return boxes


def _remapper(config: CenterPointConfig) -> Iterator[Probe]:
    """A box in the middle of the areas of every rule."""
    rules = config.postprocess.for_classes(config.class_names).class_remapper or ()
    places = {name.upper(): index for index, name in enumerate(config.class_names)}
    known = [rule for rule in rules if rule.source in places]
    added = [name for name in LABELS if name not in places and any(rule.target == name for rule in known)]
    names = (*config.class_names, *added)
    targets = {name.upper(): index for index, name in enumerate(names)}
    went, came = [], []
    pitch = (config.point_cloud_range[3] - config.point_cloud_range[0]) / (len(known) + 1)
    for index, rule in enumerate(known):
        area = (rule.min_area + min(rule.max_area, 2 * rule.min_area + 10.0)) / 2
        size = (math.sqrt(2 * area), math.sqrt(area / 2), 2.0)
        x = config.point_cloud_range[0] + (index + 1) * pitch
        went.append(KnownBox(places[rule.source], (x, 0.0, 0.0), size, 0.2))
        came.append(replace(went[-1], label=targets[rule.target]))
    if not known:
        return
    options = {
        **_open(config, "autoware"),
        "remap_classes": True,
        # Large boxes may lie on each other here.
        "iou_nms_search_distance_2d": 0.0,
    }
    found = _probe(config, "class remapper", _scored(went, 0.6, 0.9), options)
    yield replace(found, expected=expected(config, _scored(came, 0.6, 0.9), names))
