"""Voxelisation of a frame into decorated pillars on the CPU.

The arithmetic is part of the contract, so that another device can give the same bits. All of it
is float32, operations round one by one (no fused multiply-add), and division is true division:

1. Columns are converted to float32. A sweep with a transform M (float64, rounded to float32) is
   moved by ``((m0 * x + m1 * y) + m2 * z) + m3``, row by row.
2. A point is finite if x, y, z (and intensity where the network uses it) are; in range if
   ``min <= p < max`` on every axis. Others are dropped and counted.
3. Its cell is ``floor((p - min) / voxel_size)``, clamped to the last one.
4. Sweeps are taken in order, points in input order (``point_order`` sequential), or in
   :data:`ROUNDS` rounds (interleaved): round r takes points r, r + ROUNDS, r + 2 ROUNDS, ... of every
   sweep in turn. Pillars are numbered by first appearance, up to ``max_voxels``; the first
   ``max_points_per_voxel`` points of a pillar are stored in its slots.
5. Mean: coordinates summed in slot order, then divided by the number of stored points.
   Centre: ``(index + 0.5) * voxel_size + min``.
6. Features: raw channels in configured order (intensity times ``intensity_scale``), x, y, z minus
   the mean, x, y (and z) minus the centre. Empty slots are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from awml_deploy_core.points import PointCloudFrame, Sweep
from awml_extractors.centerpoint import pillar_kernels as kernels
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.sweep_columns import Column, as_float32, check_sweep, needed_columns

ROUNDS = 17
"""Rounds of the interleaved order: not a divisor of usual numbers of beams, so that each takes points of
all beams of a cloud in firing order."""


@dataclass(frozen=True)
class PillarCounts:
    """What became of the points of one frame."""

    points_in: int
    points_finite: int
    points_in_range: int
    points_used: int
    """Points stored in a pillar: in range, less truncated and dropped ones."""
    points_truncated: int
    """Points beyond ``max_points_per_voxel`` of their pillar."""
    points_dropped: int
    """Points of dropped pillars."""
    pillars: int
    pillars_dropped: int
    """Occupied cells beyond ``max_voxels``."""

    def as_dict(self) -> dict[str, int]:
        """Counts by field name."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class Pillars:
    """Decorated pillars of one frame: views of a voxelizer, valid until its next frame."""

    features: npt.NDArray[np.float32]
    """float32 [rows, max_points, C]; rows is the number of pillars, or more if padding was asked
    for, the rest being zero."""
    coordinates: npt.NDArray[np.int32]
    """int32 [pillars, 2]: cell y, x."""
    num_points: npt.NDArray[np.int32]
    """int32 [pillars]: points stored in each pillar."""
    counts: PillarCounts


class Voxelizer:
    """Voxelises frames of one configuration and keeps its buffers between them.

    A frame clears only what the one before it wrote. Not re-entrant. Results do not depend on
    earlier frames or on threads.

    Args:
        config: The variant.
        max_voxels: Pillars kept of a frame; the configuration's if None.
        min_rows: Least number of rows of ``Pillars.features``, for encoders of a fixed size.
    """

    def __init__(
        self, config: CenterPointConfig, *, max_voxels: int | None = None, min_rows: int = 0
    ) -> None:
        self._config = config
        self._max_voxels = config.voxel_capacity if max_voxels is None else max_voxels
        self._min_rows = min_rows
        nx, ny = config.grid_size
        rows = max(self._max_voxels, min_rows)
        shape = (rows, config.max_points_per_voxel, config.num_encoder_features)
        self._features = np.zeros(shape, np.float32)
        self._coordinates = np.zeros((rows, 2), np.int32)
        self._num_points = np.zeros(rows + kernels.SPARE_ROWS, np.int32)
        self._written = np.zeros(rows, np.int32)
        self._slots = np.zeros((rows + kernels.SPARE_ROWS) * config.max_points_per_voxel + 1, np.int32)
        self._grid = np.full(nx * ny + 1, kernels.FREE, np.int32)
        self._cells = np.zeros(nx * ny, np.int32)
        self._block = np.zeros((3, kernels.BLOCK), np.float32)
        self._block_cells = np.zeros(kernels.BLOCK, np.int32)
        self._counters = np.zeros(kernels.NUM_COUNTERS, np.int64)
        self._staged = np.zeros((5, 0), np.float32)
        self._interleaved = np.zeros((5, 0), np.float32)
        self._in_rounds = config.point_order == "interleaved"
        self._limits = np.array(config.point_cloud_range, np.float32)
        self._voxel_size = np.array(config.voxel_size, np.float32)
        channels = {name: np.uint64(i) for i, name in enumerate(config.point_features)}
        self._uses_intensity = "intensity" in channels
        self._uses_time_lag = "time_lag" in channels
        self._sizes = tuple(
            np.uint64(value) for value in (nx, ny, config.max_points_per_voxel, self._max_voxels)
        )
        self._layout = (
            np.uint64(nx),
            np.uint64(config.max_points_per_voxel),
            np.uint64(config.num_encoder_features),
            np.uint64(config.num_raw_features),
            channels.get("intensity", np.uint64(0)),
            channels.get("time_lag", np.uint64(0)),
            np.uint64(min_rows),
        )
        self._has = (self._uses_intensity, self._uses_time_lag, config.center_offset_dims == 3)

    def voxelize(self, frame: PointCloudFrame) -> Pillars:
        """Voxelise and decorate a frame.

        Raises:
            PointCloudError: A needed column is missing or not numeric, a transform is not a
                finite 4x4 matrix, or a time lag is not finite.
        """
        x, y, z, intensity, time_lag = self._columns(frame)
        kernels.assign_points(
            x,
            y,
            z,
            intensity,
            self._uses_intensity,
            self._limits,
            self._voxel_size,
            self._sizes,
            self._grid,
            self._cells,
            self._num_points,
            self._slots,
            self._block,
            self._block_cells,
            self._counters,
        )
        kernels.decorate_pillars(
            x,
            y,
            z,
            intensity,
            time_lag,
            self._layout,
            self._has,
            np.float32(self._config.intensity_scale),
            self._limits,
            self._voxel_size,
            self._grid,
            self._cells,
            self._num_points,
            self._slots,
            self._written,
            self._features.reshape(-1),
            self._coordinates,
            self._counters,
        )
        counts = self._counts(len(x))
        return Pillars(
            self._features[: max(counts.pillars, self._min_rows)],
            self._coordinates[: counts.pillars],
            self._num_points[: counts.pillars],
            counts,
        )

    def _counts(self, points_in: int) -> PillarCounts:
        counters = [int(value) for value in self._counters]
        in_range, truncated = counters[kernels.IN_RANGE], counters[kernels.TRUNCATED]
        dropped = counters[kernels.DROPPED_POINTS]
        return PillarCounts(
            points_in=points_in,
            points_finite=counters[kernels.FINITE],
            points_in_range=in_range,
            points_used=in_range - truncated - dropped,
            points_truncated=truncated,
            points_dropped=dropped,
            pillars=counters[kernels.PILLARS],
            pillars_dropped=counters[kernels.CELLS] - counters[kernels.PILLARS],
        )

    def _columns(self, frame: PointCloudFrame) -> tuple[Column, Column, Column, Column, Column]:
        """x, y, z, intensity, time lag of all points: views where one untransformed sweep allows."""
        for position, sweep in enumerate(frame.sweeps):
            check_sweep(position, sweep)
        if len(frame.sweeps) == 1 and frame.sweeps[0].transform is None and not self._in_rounds:
            sweep = frame.sweeps[0]
            x, y, z, intensity = self._sweep_columns(0, sweep)
            return x, y, z, intensity, np.broadcast_to(np.float32(sweep.time_lag), len(x))
        total = frame.num_points
        if self._staged.shape[1] < total:
            self._staged = np.zeros((5, total), np.float32)
        start = 0
        for position, sweep in enumerate(frame.sweeps):
            part = self._staged[:, start : start + len(sweep.columns)]
            x, y, z, part[3] = self._sweep_columns(position, sweep)
            if sweep.transform is None:
                part[0], part[1], part[2] = x, y, z
            else:
                matrix = np.ascontiguousarray(sweep.transform[:3], np.float32)
                moved = np.empty((3, len(x)), np.float32)
                kernels.transform_points(x, y, z, matrix, moved)
                part[:3] = moved
            part[4] = sweep.time_lag
            start += len(sweep.columns)
        staged = self._staged[:, :total]
        if self._in_rounds:
            staged = self._interleave(staged, [len(sweep.columns) for sweep in frame.sweeps])
        x, y, z, intensity, time_lag = staged
        return x, y, z, intensity, time_lag

    def _interleave(self, staged: npt.NDArray[np.float32], lengths: list[int]) -> npt.NDArray[np.float32]:
        """The points of all sweeps, one behind the other, in rounds."""
        if self._interleaved.shape[1] < staged.shape[1]:
            self._interleaved = np.zeros_like(staged)
        ordered = self._interleaved[:, : staged.shape[1]]
        starts = np.cumsum([0, *lengths])
        at = 0
        for turn in range(ROUNDS):
            for start, end in pairwise(starts):
                part = staged[:, start + turn : end : ROUNDS]
                ordered[:, at : at + part.shape[1]] = part
                at += part.shape[1]
        return ordered

    def _sweep_columns(self, position: int, sweep: Sweep) -> tuple[Column, Column, Column, Column]:
        columns = needed_columns(position, sweep.columns, self._config)
        x, y, z, *intensity = (as_float32(column) for column in columns.values())
        return x, y, z, intensity[0] if intensity else x
