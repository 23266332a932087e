"""What the head should say about a batch, in mmdet3d's convention.

Heatmaps are those of CenterPoint and mmdet3d: a Gaussian a box, drawn with the maximum.

Regression goes further. mmdet3d learns it in the cell of the centre only, since its decoder reads
it at peaks only. Autoware picks no peaks: every cell above the score threshold becomes a box, and
suppression keeps the best of those. A cell beside the centre may be that one, so by default its
neighbours learn too, each its own offset to the true centre, weighted by the Gaussian. A cell
between several boxes learns from the one whose Gaussian is largest there, as the heatmap does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from awml_deploy_lab.training.batch import TrainingBatch
from awml_extractors.centerpoint.config import CenterPointConfig

MIN_OVERLAP = 0.1
"""Intersection over union that a box still has whose corner is a radius off."""
MIN_RADIUS = 2
"""[output cells]"""
MAX_RADIUS = 16
"""[output cells] Of the drawn window: a box of 60 m x 3 m has 12 at cells of 0.32 m."""

REGRESSION = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2}
"""Columns of ``Targets.values`` by output."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of a batch with M boxes; n = (2 * regression radius + 1) ** 2 cells a box."""

    heatmap: Tensor
    """float32 [B, K, h, w]: 1 in the cells of centres, 0 far from any box."""
    positives: Tensor
    """float32 []: cells of the heatmap that are 1."""
    cells: Tensor
    """int64 [M * n]: ``(frame * h + y) * w + x`` of every regression; 0 where the weight is."""
    weights: Tensor
    """float32 [M * n]: 1 in the cell of a centre, less beside it, 0 for cells not to learn from."""
    values: Tensor
    """float32 [M * n, 10]: reg x, y [cells], height (centre z) [m], log of length, width, height,
    sin and cos of the yaw, vx, vy [m/s], which are NaN where unknown."""


def gaussian_radius(length: Tensor, width: Tensor, min_overlap: float = MIN_OVERLAP) -> Tensor:
    """Radius [cells] of boxes of ``length`` and ``width`` [cells], as mmdet3d computes it.

    The three candidates are CornerNet's, with the divisors by 2 that its well-known code has
    instead of those by 2a; all implementations kept them.
    """
    total, area = length + width, length * width
    inner = area * (1 - min_overlap) / (1 + min_overlap)
    first = (total + (total**2 - 4 * inner).sqrt()) / 2
    second = (2 * total + (4 * total**2 - 16 * (1 - min_overlap) * area).sqrt()) / 2
    b, c = -2 * min_overlap * total, (min_overlap - 1) * area
    third = (b + (b**2 - 16 * min_overlap * c).sqrt()) / 2
    return torch.minimum(torch.minimum(first, second), third)


class TargetMaker:
    """Makes targets of batches of one configuration; nothing waits for the device.

    Args:
        config: The variant.
        min_points: Boxes with fewer returns are ignored: they are neither drawn nor regressed.
        regression_radius: Cells around that of the centre that learn regression; 0 is mmdet3d's.
    """

    def __init__(self, config: CenterPointConfig, *, min_points: int, regression_radius: int) -> None:
        self._config = config
        self._min_points = min_points
        self._radius = regression_radius

    @torch.no_grad()
    def make(self, batch: TrainingBatch) -> Targets:
        """Targets of a batch.

        Boxes with their centre out of range, fewer than ``min_points`` returns or a negative label
        are ignored.
        """
        config = self._config
        w, h = config.output_size
        low, high = config.point_cloud_range[:3], config.point_cloud_range[3:]
        steps = [config.voxel_size[axis] * config.out_size_factor for axis in (0, 1)]
        x, y, z, length, width = batch.boxes[:, :5].unbind(dim=1)
        valid = (batch.num_points >= self._min_points) & (batch.labels >= 0)
        for value, a, b in zip((x, y, z), low, high, strict=True):
            valid = valid & (value >= a) & (value < b)
        center = torch.stack([(x - low[0]) / steps[0], (y - low[1]) / steps[1]], dim=1)
        center = center.masked_fill(~valid[:, None], 0.0)
        # float32 may round a centre just inside the range to its end.
        cell = torch.stack([center[:, 0].long().clamp(max=w - 1), center[:, 1].long().clamp(max=h - 1)], 1)
        radius = gaussian_radius(length / steps[0], width / steps[1]).long().clamp(MIN_RADIUS, MAX_RADIUS)

        at, gauss = self._window(cell, radius, valid, MAX_RADIUS)
        plane = batch.box_frame * len(config.class_names) + batch.labels.clamp(min=0)
        heatmap = center.new_zeros(batch.size * len(config.class_names) * h * w)
        heatmap.scatter_reduce_(0, (plane[:, None] * h * w + at).flatten(), gauss.flatten(), "amax")

        near, weight = self._window(cell, radius, valid, self._radius)
        near = (batch.box_frame[:, None] * h * w + near).masked_fill(weight == 0, 0)
        best = center.new_zeros(batch.size * h * w)
        best.scatter_reduce_(0, (batch.box_frame[:, None] * h * w + at).flatten(), gauss.flatten(), "amax")
        weight = weight.masked_fill(weight < best[near], 0.0)
        return Targets(
            heatmap.reshape(batch.size, -1, h, w),
            (heatmap == 1).sum().float(),
            near.flatten(),
            weight.flatten(),
            self._values(batch.boxes, center, near).flatten(0, 1),
        )

    def _window(self, cell: Tensor, radius: Tensor, valid: Tensor, reach: int) -> tuple[Tensor, Tensor]:
        """Cells ``y * w + x`` ``[M, n]`` around those of centres, and the Gaussian there.

        It is 0 beyond the radius, outside the map and for boxes that are not valid.
        """
        w, h = self._config.output_size
        line = torch.arange(-reach, reach + 1, device=cell.device)
        dy, dx = (grid.flatten() for grid in torch.meshgrid(line, line, indexing="ij"))
        x, y = cell[:, :1] + dx, cell[:, 1:] + dy
        sigma = (2 * radius[:, None] + 1) / 6
        gauss = torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))
        drawn = (x >= 0) & (x < w) & (y >= 0) & (y < h) & valid[:, None]
        drawn &= (dx.abs() <= radius[:, None]) & (dy.abs() <= radius[:, None])
        return y.clamp(0, h - 1) * w + x.clamp(0, w - 1), gauss.masked_fill(~drawn, 0.0)

    def _values(self, boxes: Tensor, center: Tensor, cells: Tensor) -> Tensor:
        """Regression targets ``[M, n, 10]``."""
        w, h = self._config.output_size
        offset_x = center[:, :1] - cells % w
        offset_y = center[:, 1:] - cells // w % h
        yaw = boxes[:, 6:7]
        shared = torch.cat([boxes[:, 2:3], boxes[:, 3:6].log(), yaw.sin(), yaw.cos(), boxes[:, 7:9]], dim=1)
        values = shared[:, None].expand(-1, cells.shape[1], -1)
        return torch.cat([offset_x[..., None], offset_y[..., None], values], dim=2)
