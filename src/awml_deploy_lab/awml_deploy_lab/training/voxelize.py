"""Voxelisation of a whole batch on its device.

The contract is that of :mod:`awml_extractors.centerpoint.pillars`, with three differences that a
network cannot see: pillars are in the order of their cells, the sum for the mean may be taken in
another order, and ``max_voxels`` is not applied, since it only bounds the memory of a vehicle.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from awml_deploy_lab.training.batch import TrainingBatch
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.pillars import ROUNDS

_COLUMNS = {"x": 0, "y": 1, "z": 2, "intensity": 3, "time_lag": 4}
"""Columns of ``TrainingBatch.points``."""

_MAX_SWEEPS = 32
"""Sweeps of a frame that take turns; more than any recipe uses."""


@dataclass(frozen=True, eq=False)
class BatchPillars:
    """Decorated pillars of a batch, P together."""

    features: Tensor
    """float32 [P, max_points, C]: as ``Pillars.features``; empty slots are zero."""
    cells: Tensor
    """int64 [P]: ``(frame * ny + y) * nx + x``, ascending."""
    num_points: Tensor
    """int64 [P]: points stored in each pillar."""
    size: int
    """Frames of the batch."""


class BatchVoxelizer:
    """Voxelises batches of one configuration on one device.

    The number of pillars is the only value that the host waits for. (Here and in all of a step,
    ``masked_fill`` stands where ``where`` would send a number to the device and wait for it.)
    """

    def __init__(self, config: CenterPointConfig, device: torch.device) -> None:
        self._config = config
        scale = [config.intensity_scale if name == "intensity" else 1.0 for name in config.point_features]
        self._columns = torch.tensor([_COLUMNS[name] for name in config.point_features], device=device)
        self._scale = torch.tensor(scale, device=device)
        self._low = torch.tensor(config.point_cloud_range[:3], device=device)
        self._high = torch.tensor(config.point_cloud_range[3:], device=device)
        # A GPU divides by a number as it multiplies by its rounded inverse, but truly by a tensor.
        self._voxel = torch.tensor(config.voxel_size, device=device)

    @torch.no_grad()
    def voxelize(self, batch: TrainingBatch) -> BatchPillars:
        """Pillars of all frames; points that are not finite or out of range are left out."""
        slots = self._config.max_points_per_voxel
        raw = batch.points.index_select(1, self._columns) * self._scale
        keys = self._keys(batch, raw)
        total = len(raw)
        if self._config.point_order == "interleaved":
            ordered, order = (keys * ROUNDS + self._rounds(batch, keys)).sort(stable=True)
            keys = torch.div(ordered, ROUNDS, rounding_mode="floor")
        else:
            keys, order = keys.sort(stable=True)
        cells, pillar, counts = torch.unique_consecutive(keys, return_inverse=True, return_counts=True)
        pillars = len(cells) - 1
        rank = torch.arange(total + 1, device=raw.device) - (counts.cumsum(0) - counts)[pillar]
        # What is not stored goes to one slot too many.
        stored = (rank < slots) & (pillar < pillars)
        slot = (pillar * slots + rank).masked_fill(~stored, pillars * slots)
        point = torch.full((pillars * slots + 1,), total, device=raw.device)
        point.scatter_(0, slot, order)
        padded = torch.cat([raw, raw.new_zeros(1, raw.shape[1])])
        features = padded[point[:-1]].reshape(pillars, slots, -1)
        num_points = counts[:-1].clamp(max=slots)
        cells = cells[:-1].long()
        return BatchPillars(self._decorate(features, cells, num_points), cells, num_points, batch.size)

    def _keys(self, batch: TrainingBatch, raw: Tensor) -> Tensor:
        """Cell of every point and, at the end, the one of points that have none."""
        nx, ny = self._config.grid_size
        nowhere = batch.size * ny * nx
        # The sort is the most expensive part, and takes half the time for half the bits.
        dtype = torch.int32 if (nowhere + 1) * ROUNDS < 2**31 else torch.int64
        xyz = batch.points[:, :3]
        inside = ((xyz >= self._low) & (xyz < self._high)).all(dim=1) & torch.isfinite(raw).all(dim=1)
        steps = (xyz[:, :2] - self._low[:2]) / self._voxel[:2]
        x, y = steps.masked_fill(~inside[:, None], 0.0).to(dtype).unbind(dim=1)
        key = (batch.point_frame.to(dtype) * ny + y.clamp(max=ny - 1)) * nx + x.clamp(max=nx - 1)
        return torch.cat([key.masked_fill(~inside, nowhere), key.new_full((1,), nowhere)])

    @staticmethod
    def _rounds(batch: TrainingBatch, keys: Tensor) -> Tensor:
        """Round of the interleaved order that takes every point: its position in its sweep, modulo."""
        position = torch.arange(len(keys), device=keys.device)
        lag = batch.points[:, 4]
        first = torch.ones_like(keys, dtype=torch.bool)
        first[1:-1] = (lag[1:] != lag[:-1]) | (batch.point_frame[1:] != batch.point_frame[:-1])
        sweep = first.cumsum(0).clamp(max=_MAX_SWEEPS * batch.size)
        starts = torch.zeros(_MAX_SWEEPS * batch.size + 1, dtype=position.dtype, device=keys.device)
        # Number 0 is no sweep: all points but the first of each go there.
        starts.scatter_(0, sweep.masked_fill(~first, 0), position)
        start = starts[sweep]
        return ((position - start) % ROUNDS).to(keys.dtype)

    def _decorate(self, raw: Tensor, cells: Tensor, num_points: Tensor) -> Tensor:
        nx, ny = self._config.grid_size
        xyz = raw[..., :3]
        mean = xyz.sum(dim=1) / num_points[:, None]
        index = torch.stack([cells % nx, cells // nx % ny, torch.zeros_like(cells)], dim=1)
        center = (index + 0.5) * self._voxel + self._low
        dims = self._config.center_offset_dims
        features = torch.cat([raw, xyz - mean[:, None], xyz[..., :dims] - center[:, None, :dims]], dim=2)
        empty = torch.arange(raw.shape[1], device=raw.device) >= num_points[:, None]
        return features.masked_fill(empty[..., None], 0.0)
