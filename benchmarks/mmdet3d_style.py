"""CenterPoint as a framework runs it: eager PyTorch between Python pre- and post-processing.

Written for comparison from the definitions in the papers and documentation of mmdet3d: hard
voxelisation, decoration with tensor operations on padded pillars, a fresh canvas for every frame,
the network in eager mode, sigmoid of the whole heatmap, top-K by class and over classes, and
circle NMS compiled by numba. Hard voxelisation is spconv's C++ where installed (mmcv's is a C++
operator of the same algorithm), otherwise vectorised with a stable sort.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.model import CenterPoint

Array = npt.NDArray[Any]
Voxels = tuple[Tensor, Tensor, Tensor]
"""Points [N, max_points, raw], cells [N, 2] as y, x, number of points [N]."""


def spconv_voxelizer(config: CenterPointConfig, channels: int) -> Callable[[Array], Voxels] | None:
    """Hard voxelisation by spconv, or None if it is not installed."""
    try:
        from cumm import tensorview
        from spconv.utils import Point2VoxelCPU3d
    except ImportError:
        return None
    generator = Point2VoxelCPU3d(
        list(config.voxel_size),
        list(config.point_cloud_range),
        channels,
        config.max_voxels,
        config.max_points_per_voxel,
    )

    def voxelize(points: Array) -> Voxels:
        voxels, coordinates, counts = generator.point_to_voxel(tensorview.from_numpy(points))
        return (
            torch.from_numpy(voxels.numpy()),
            torch.from_numpy(coordinates.numpy())[:, 1:].long(),
            torch.from_numpy(counts.numpy()).long(),
        )

    return voxelize


def numpy_voxelizer(config: CenterPointConfig) -> Callable[[Array], Voxels]:
    """Hard voxelisation with a stable sort by cell; pillars in order of first appearance."""
    low = np.array(config.point_cloud_range[:3], np.float32)
    high = np.array(config.point_cloud_range[3:], np.float32)
    size = np.array(config.voxel_size[:2], np.float32)
    nx, ny = config.grid_size

    def voxelize(points: Array) -> Voxels:
        inside = ((points[:, :3] >= low) & (points[:, :3] < high)).all(axis=1)
        points = points[inside]
        cell = np.minimum(((points[:, :2] - low[:2]) / size).astype(np.int64), [nx - 1, ny - 1])
        key = cell[:, 1] * nx + cell[:, 0]
        unique, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        rank = np.empty(len(unique), np.int64)
        rank[np.argsort(first)] = np.arange(len(unique))
        pillar = rank[inverse]
        order = np.argsort(pillar, kind="stable")
        counts = np.bincount(pillar, minlength=len(unique))
        slot = np.arange(len(points)) - np.repeat(np.cumsum(counts) - counts, counts)
        keep = (slot < config.max_points_per_voxel) & (pillar[order] < config.max_voxels)
        rows = min(len(unique), config.max_voxels)
        voxels = np.zeros((rows, config.max_points_per_voxel, points.shape[1]), np.float32)
        voxels[pillar[order][keep], slot[keep]] = points[order[keep]]
        cells = unique[np.argsort(first)][:rows]
        return (
            torch.from_numpy(voxels),
            torch.from_numpy(np.stack([cells // nx, cells % nx], axis=1)),
            torch.from_numpy(np.minimum(counts[:rows], config.max_points_per_voxel)),
        )

    return voxelize


def decorate(config: CenterPointConfig, voxels: Voxels) -> Tensor:
    """Features [N, max_points, C] of padded pillars, with whole-tensor operations."""
    points, cells, counts = voxels
    mean = points[:, :, :3].sum(dim=1, keepdim=True) / counts.to(points.dtype).view(-1, 1, 1)
    size, low = config.voxel_size, config.point_cloud_range
    dims = config.center_offset_dims
    to_center = torch.zeros_like(points[:, :, :dims])
    for axis, index in enumerate((cells[:, 1], cells[:, 0], torch.zeros_like(cells[:, 0]))[:dims]):
        center = index.to(points.dtype).unsqueeze(1) * size[axis] + (size[axis] / 2 + low[axis])
        to_center[:, :, axis] = points[:, :, axis] - center
    features = torch.cat([points, points[:, :, :3] - mean, to_center], dim=-1)
    slots = torch.arange(points.shape[1]).view(1, -1)
    return features * (slots < counts.view(-1, 1)).unsqueeze(-1).to(points.dtype)


@numba.njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def circle_nms(boxes: Any, limit: float) -> Any:
    """Kept indices of rows x, y, score by squared centre distance."""
    order = boxes[:, 2].argsort()[::-1]
    suppressed = np.zeros(len(boxes), np.bool_)
    kept = []
    for a in range(len(boxes)):
        i = order[a]
        if suppressed[i]:
            continue
        kept.append(i)
        for b in range(a + 1, len(boxes)):
            j = order[b]
            squared = (boxes[i, 0] - boxes[j, 0]) ** 2 + (boxes[i, 1] - boxes[j, 1]) ** 2
            if squared <= limit:
                suppressed[j] = True
    return kept


def decode(config: CenterPointConfig, outputs: tuple[Tensor, ...]) -> tuple[Array, Array, Array]:
    """Boxes x, y, z, l, w, h, yaw, vx, vy; scores; labels. Head outputs in mmdet3d's convention."""
    heatmap, reg, height, dim, rot, vel = outputs
    options = config.postprocess
    width = heatmap.shape[3]
    scores = heatmap.sigmoid()
    limit = min(options.mmdet3d_pre_max, scores.shape[2] * scores.shape[3])
    by_class, cells_by_class = torch.topk(scores.view(1, scores.shape[1], -1), limit)
    best, index = torch.topk(by_class.view(1, -1), limit)
    labels = torch.div(index, limit, rounding_mode="floor")[0]
    cells = cells_by_class.view(1, -1).gather(1, index)[0]

    def gather(value: Tensor) -> Tensor:
        rows = value.permute(0, 2, 3, 1).contiguous().view(-1, value.shape[1])
        return rows[cells]

    offset = gather(reg)
    xs = (cells % width).float() + offset[:, 0]
    ys = torch.div(cells, width, rounding_mode="floor").float() + offset[:, 1]
    factor, size, low = config.out_size_factor, config.voxel_size, config.point_cloud_range
    angle = gather(rot)
    boxes = torch.cat(
        [
            torch.stack([xs * factor * size[0] + low[0], ys * factor * size[1] + low[1]], dim=1),
            gather(height)[:, :1],
            gather(dim)[:, :3].exp(),
            torch.atan2(angle[:, :1], angle[:, 1:2]),
            gather(vel)[:, :2],
        ],
        dim=1,
    )
    chosen = best[0] > options.mmdet3d_score_threshold
    boxes, kept_scores, labels = boxes[chosen], best[0][chosen], labels[chosen]
    rows = torch.cat([boxes[:, :2], kept_scores[:, None]], dim=1).numpy()
    kept = circle_nms(rows, options.mmdet3d_min_radius)[: options.mmdet3d_post_max]
    return boxes.numpy()[kept], kept_scores.numpy()[kept], labels.numpy()[kept]


class EagerCenterPoint:
    """The whole model on one cloud [N, 4]: x, y, z, intensity."""

    def __init__(self, model: CenterPoint) -> None:
        self._model = model
        config = model.config
        spconv = spconv_voxelizer(config, len(config.point_features))
        self.voxelizer = "numpy" if spconv is None else "spconv"
        self._voxelize = spconv or numpy_voxelizer(config)

    @torch.inference_mode()
    def __call__(self, cloud: Array) -> tuple[Array, Array, Array]:
        config = self._model.config
        zeros = np.zeros(len(cloud), np.float32)
        columns = {"x": cloud[:, 0], "y": cloud[:, 1], "z": cloud[:, 2], "time_lag": zeros}
        columns["intensity"] = cloud[:, 3] * np.float32(config.intensity_scale)
        points = np.stack([columns[name] for name in config.point_features], axis=1)
        voxels = self._voxelize(points)
        index = voxels[1][:, 0] * config.grid_size[0] + voxels[1][:, 1]
        return decode(config, self._model(decorate(config, voxels), index))
