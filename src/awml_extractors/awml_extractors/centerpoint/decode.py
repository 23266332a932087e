"""Decoding of the head's maps into boxes as Autoware does it.

Algorithm of ``autoware_lidar_centerpoint`` (postprocess_kernel.cu): every cell gives at most one
box, of its best class; there is no peak picking and no top-K.

Velocities are those of the head in either decoder: vx, vy [m/s] along the axes of the cloud's
frame. Autoware rotates them into the object's frame only when it fills the message, and mmdet3d's
boxes carry them in the frame of the LiDAR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import TensorMismatchError
from awml_extractors.arithmetic import sigmoid_of
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.convention import decode_size, decode_yaw
from awml_extractors.centerpoint.options import PostprocessOptions
from awml_extractors.jit import inlined, kernel, read_only, tuple_of, writable

Map = npt.NDArray[np.float32]

BLOCK = 512
_SATURATION = np.float32(9.0)
"""Logit above which logits more than the margin apart may have the same float32 sigmoid."""
_SUBNORMAL = np.float32(-80.0)
"""Logit below which the same holds, as the float32 sigmoid loses its precision."""
_MARGIN = np.float32(1e-3)
"""Logits this much below a threshold are looked at too, so that rounding cannot lose a cell."""

_MAP = read_only(types.float32, 2)


@dataclass(frozen=True, eq=False)
class HeadMaps:
    """Outputs of the head for one frame, each float32 ``[c, h * w]``, means before variances."""

    heatmap: Map
    reg: Map
    height: Map
    dim: Map
    rot: Map
    vel: Map

    @classmethod
    def from_outputs(cls, config: CenterPointConfig, outputs: Mapping[str, npt.NDArray[Any]]) -> HeadMaps:
        """Maps of the outputs ``[1, c, h, w]``, without a copy where they are float32 in order.

        Raises:
            TensorMismatchError: An output is missing or of another shape; all are listed.
        """
        w, h = config.output_size
        problems = []
        maps = {}
        for name, channels in config.head_outputs.items():
            value = outputs.get(name)
            if value is None or value.shape != (1, channels, h, w):
                got = "missing" if value is None else f"{value.shape}"
                problems.append(f"{name} is {got}, expected {(1, channels, h, w)}")
            else:
                maps[name] = np.ascontiguousarray(value, np.float32).reshape(channels, h * w)
        if problems:
            raise TensorMismatchError("head outputs", "do not match the model", problems=problems)
        return cls(**maps)


@dataclass(frozen=True)
class Decoded:
    """Boxes before suppression and how many were lost to NaN or infinity in the head's output."""

    detections: Detections
    non_finite: int


@dataclass(frozen=True, eq=False)
class ThresholdTables:
    """Autoware's thresholds of one model, as the comparisons use them."""

    limits: Map
    """float32 ``[bins]``: upper limits of the radial distance [m]."""
    scores: Map
    """float32 ``[bins, classes]``."""
    yaw_norms: Map
    """float32 ``[classes]``: least norm of the rot channels."""

    @classmethod
    def of(cls, config: CenterPointConfig, options: PostprocessOptions) -> ThresholdTables:
        """The tables of a variant's classes under some options."""
        names = config.class_names
        return cls(
            np.array(options.distance_bin_upper_limits, np.float32),
            np.array([options.score_thresholds(name) for name in names], np.float32).T.copy(),
            np.array([options.yaw_norm_threshold(name) for name in names], np.float32),
        )


def cell_geometry(config: CenterPointConfig) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Size of a cell of the head's maps along x and y, and the least x and y [m], in float32."""
    factor = np.float32(config.out_size_factor)
    return (
        np.float32(config.voxel_size[0]) * factor,
        np.float32(config.voxel_size[1]) * factor,
        np.float32(config.point_cloud_range[0]),
        np.float32(config.point_cloud_range[1]),
    )


def logit_floor(threshold: float) -> np.float32:
    """A logit below which the float32 sigmoid is certainly less than ``threshold``."""
    if threshold <= 0.0:
        return np.float32(-np.inf)
    return tie_floor(float(np.log(threshold / (1.0 - threshold))) if threshold < 1.0 else np.inf)


def tie_floor(logit: float) -> np.float32:
    """A logit below which the float32 sigmoid is certainly less than that of ``logit``."""
    if logit < _SUBNORMAL:
        return np.float32(-np.inf)
    return np.float32(min(np.float32(logit), _SATURATION) - _MARGIN)


_tie_floor: Any = inlined(tie_floor)


@kernel(_MAP, types.float32, writable(types.float32), writable(types.int32))
def _cells_above(heatmap: Any, floor: Any, block: Any, cells: Any) -> int:
    """Cells whose largest logit reaches ``floor``, in ascending order; NaN never does."""
    found = 0
    for start in range(0, heatmap.shape[1], BLOCK):
        length = min(BLOCK, heatmap.shape[1] - start)
        for i in range(length):
            block[i] = -np.inf
        for channel in range(len(heatmap)):
            row = heatmap[channel]
            for i in range(length):
                value = row[start + i]
                block[i] = value if value > block[i] else block[i]
        for i in range(length):
            if block[i] >= floor:
                cells[found] = start + i
                found += 1
    return found


@kernel(
    _MAP,
    _MAP,
    _MAP,
    tuple_of(types.float32, 4),
    types.int64,
    read_only(types.float32),
    read_only(types.float32, 2),
    read_only(types.float32),
    writable(types.int32),
    types.int64,
    writable(types.int32),
    writable(types.float32, 2),
)
def _select(
    heatmap: Any,
    reg: Any,
    rot: Any,
    geometry: Any,
    width: int,
    limits: Any,
    thresholds: Any,
    yaw_norms: Any,
    cells: Any,
    count: int,
    labels: Any,
    positions: Any,
) -> int:
    """Keep in place the cells that pass all thresholds; their label, and x, y, score."""
    step_x, step_y, min_x, min_y = geometry
    kept = 0
    for k in range(count):
        cell = cells[k]
        best = np.float32(-np.inf)
        for channel in range(len(heatmap)):
            logit = heatmap[channel, cell]
            best = logit if logit > best else best
        floor = _tie_floor(best)
        label = -1
        score = np.float32(-1)
        for channel in range(len(heatmap)):
            logit = heatmap[channel, cell]
            if logit >= floor:
                value = sigmoid_of(logit)
                if value > score:
                    label = channel
                    score = value
        x = step_x * (np.float32(cell % width) + reg[0, cell]) + min_x
        y = step_y * (np.float32(cell // width) + reg[1, cell]) + min_y
        distance = np.sqrt(x * x + y * y)
        place = 0
        while place < len(limits) and not distance < limits[place]:
            place += 1
        # Autoware drops scores of zero whatever the threshold.
        if place == len(limits) or score < thresholds[place, label] or score <= np.float32(0):
            continue
        norm = np.sqrt(rot[0, cell] * rot[0, cell] + rot[1, cell] * rot[1, cell])
        if not norm >= yaw_norms[label]:
            continue
        cells[kept] = cell
        labels[kept] = label
        positions[0, kept] = x
        positions[1, kept] = y
        positions[2, kept] = score
        kept += 1
    return kept


def decode_autoware(maps: HeadMaps, config: CenterPointConfig, options: PostprocessOptions) -> Decoded:
    """Boxes of the head's maps with Autoware's thresholds, best score first.

    A cell's class is that of the largest float32 sigmoid, the first one among equals. Its centre
    is ``(voxel_size * out_size_factor) * (index + reg) + range_min`` in float32; the radial
    distance of the centre picks the first bin whose upper limit is greater, and the class and bin
    give the score threshold. Boxes beyond the last limit or with a rot norm below the class's
    threshold are dropped. Equal scores keep the order of the cells.
    """
    tables = ThresholdTables.of(config, options)
    size = maps.heatmap.shape[1]
    cells = np.empty(size, np.int32)
    block = np.empty(BLOCK, np.float32)
    count = _cells_above(maps.heatmap, logit_floor(float(tables.scores.min())), block, cells)
    labels = np.empty(count, np.int32)
    positions = np.empty((3, count), np.float32)
    kept = _select(
        maps.heatmap,
        maps.reg,
        maps.rot,
        cell_geometry(config),
        config.output_size[0],
        tables.limits,
        tables.scores,
        tables.yaw_norms,
        cells,
        count,
        labels,
        positions,
    )
    x, y, scores = positions[:, :kept]
    return boxes_at(maps, config, cells[:kept], x, y, scores, labels[:kept])


def boxes_at(
    maps: HeadMaps,
    config: CenterPointConfig,
    cells: npt.NDArray[np.int32],
    x: Map,
    y: Map,
    scores: Map,
    labels: npt.NDArray[np.int32],
) -> Decoded:
    """Boxes of chosen cells, sorted by score (stable), without those that are not finite."""
    order = np.argsort(-scores, kind="stable")
    cells = cells[order]
    dim = maps.dim[:3, cells].T.astype(np.float64)
    rot = maps.rot[:2, cells].astype(np.float64)
    with np.errstate(over="ignore"):
        sizes = decode_size(dim, config.head_convention).astype(np.float32)
    centers = np.stack([x[order], y[order], maps.height[0, cells]], axis=1)
    yaws = decode_yaw(rot[0], rot[1], config.head_convention).astype(np.float32)
    velocities = np.zeros((len(cells), 2), np.float32)
    if config.has_twist:
        velocities[:] = maps.vel[:2, cells].T
    finite = np.isfinite(np.column_stack([centers, sizes, yaws, velocities])).all(axis=1)
    boxes = Detections(
        centers,
        sizes,
        yaws,
        velocities,
        scores[order],
        labels[order],
        config.class_names,
        config.has_twist,
    )
    lost = int(np.count_nonzero(~finite))
    return Decoded(boxes.select(finite) if lost else boxes, lost)
