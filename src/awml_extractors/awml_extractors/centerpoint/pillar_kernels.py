"""Compiled kernels of voxelisation and decoration; :mod:`pillars` states the arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from awml_extractors.centerpoint.jit import COLUMN, kernel, read_only, tuple_of, writable

BLOCK = 512
"""Points whose cells are computed together, small enough to stay in the first-level cache."""

FREE = -1
"""Grid entry of a cell without a pillar."""
DROPPED = -2
"""Grid entry of a cell that came after the last allowed pillar."""

NUM_COUNTERS = 6
PILLARS, CELLS, FINITE, IN_RANGE, TRUNCATED, DROPPED_POINTS = range(NUM_COUNTERS)

_F32 = types.float32
_I32 = types.int32
_U64 = types.uint64


@kernel(COLUMN, COLUMN, COLUMN, read_only(_F32, 2), writable(_F32, 2))
def transform_points(x: Any, y: Any, z: Any, matrix: Any, out: Any) -> None:
    """Write ``matrix`` [3, 4] applied to the points into ``out`` [3, N]."""
    for row in range(3):
        a, b, c, d = matrix[row, 0], matrix[row, 1], matrix[row, 2], matrix[row, 3]
        target = out[row]
        for i in range(len(x)):
            target[i] = ((a * x[i] + b * y[i]) + c * z[i]) + d


@kernel(
    COLUMN,
    COLUMN,
    COLUMN,
    COLUMN,
    types.boolean,
    writable(_F32),
    writable(_F32),
    tuple_of(_U64, 4),
    writable(_I32),
    writable(_I32),
    writable(_I32),
    writable(_I32),
    writable(_F32, 2),
    writable(_I32),
    writable(types.int64),
)
def assign_points(
    x: Any,
    y: Any,
    z: Any,
    intensity: Any,
    has_intensity: bool,
    limits: Any,
    voxel_size: Any,
    sizes: Any,
    grid: Any,
    cells: Any,
    num_points: Any,
    slots: Any,
    block: Any,
    block_cells: Any,
    counters: Any,
) -> None:
    """Give every point in range a pillar and a slot, first come first served.

    Args:
        limits: min x, y, z, max x, y, z.
        sizes: nx, ny, max_points, max_voxels.
        grid: [ny * nx] pillar of a cell, or FREE; left filled for :func:`decorate_pillars`.
        cells: [ny * nx] out: cell of every pillar, then of every dropped pillar.
        num_points: [max_voxels] out: stored points of a pillar.
        slots: [max_voxels * max_points] out: index of the point in a slot.
        block: [3, BLOCK] work space, ``block_cells`` [BLOCK] likewise.
        counters: [NUM_COUNTERS] out.
    """
    x0, y0, z0, x1, y1, z1 = limits[0], limits[1], limits[2], limits[3], limits[4], limits[5]
    voxel_x, voxel_y = voxel_size[0], voxel_size[1]
    nx, ny, max_points, max_voxels = sizes
    stride, last_x, last_y = np.int32(nx), np.int32(nx) - np.int32(1), np.int32(ny) - np.int32(1)
    bx, by, bz = block[0], block[1], block[2]
    pillars, touched = np.uint64(0), np.uint64(0)
    one, zero = np.uint64(1), np.float32(0)
    finite, in_range, truncated, dropped = 0, 0, 0, 0
    for start in range(0, len(x), BLOCK):
        length = min(BLOCK, len(x) - start)
        for i in range(length):
            bx[i] = x[start + i]
            by[i] = y[start + i]
            bz[i] = z[start + i]
        if has_intensity:
            for i in range(length):
                value = intensity[start + i]
                # Not zero only for NaN and infinity, which then make the point itself non-finite.
                bx[i] += value - value
        for i in range(length):
            px, py, pz = bx[i], by[i], bz[i]
            inside = (px >= x0) & (px < x1) & (py >= y0) & (py < y1) & (pz >= z0) & (pz < z1)
            difference = ((px - px) + (py - py)) + (pz - pz)
            finite += 1 if difference == zero else 0
            qx = px if inside else x0
            qy = py if inside else y0
            ix = min(np.int32((qx - x0) / voxel_x), last_x)
            iy = min(np.int32((qy - y0) / voxel_y), last_y)
            block_cells[i] = iy * stride + ix if inside else np.int32(-1)
        for i in range(length):
            if block_cells[i] < 0:
                continue
            in_range += 1
            cell = np.uint64(block_cells[i])
            pillar = grid[cell]
            if pillar == FREE:
                cells[touched] = np.int32(cell)
                touched += one
                if pillars < max_voxels:
                    pillar = np.int32(pillars)
                    num_points[pillars] = 0
                    pillars += one
                else:
                    pillar = np.int32(DROPPED)
                grid[cell] = pillar
            if pillar < 0:
                dropped += 1
                continue
            row = np.uint64(pillar)
            slot = np.uint64(num_points[row])
            if slot < max_points:
                slots[row * max_points + slot] = np.int32(start + i)
                num_points[row] = np.int32(slot + one)
            else:
                truncated += 1
    counters[PILLARS] = pillars
    counters[CELLS] = touched
    counters[FINITE] = finite
    counters[IN_RANGE] = in_range
    counters[TRUNCATED] = truncated
    counters[DROPPED_POINTS] = dropped


@kernel(
    COLUMN,
    COLUMN,
    COLUMN,
    COLUMN,
    COLUMN,
    tuple_of(_U64, 7),
    tuple_of(types.boolean, 3),
    _F32,
    writable(_F32),
    writable(_F32),
    writable(_I32),
    writable(_I32),
    writable(_I32),
    writable(_I32),
    writable(_I32),
    writable(_F32),
    writable(_I32, 2),
    writable(types.int64),
)
def decorate_pillars(
    x: Any,
    y: Any,
    z: Any,
    intensity: Any,
    time_lag: Any,
    layout: Any,
    has: Any,
    intensity_scale: Any,
    limits: Any,
    voxel_size: Any,
    grid: Any,
    cells: Any,
    num_points: Any,
    slots: Any,
    written: Any,
    features: Any,
    coordinates: Any,
    counters: Any,
) -> None:
    """Write the decorated features of every pillar and leave ``grid`` free for the next frame.

    Args:
        layout: nx, max_points, channels C, raw channels, intensity channel, time-lag channel,
            least number of rows to leave clean after the last pillar.
        has: intensity, time lag, offset to the centre in z.
        written: [max_voxels] slots of a row that an earlier frame filled; updated.
        features: [max_voxels * max_points * C] out.
        coordinates: [max_voxels, 2] out: y, x.
    """
    nx, max_points, channels, raw, intensity_channel, time_channel, min_rows = layout
    has_intensity, has_time, has_center_z = has
    x0, y0, z0 = limits[0], limits[1], limits[2]
    voxel_x, voxel_y, voxel_z = voxel_size[0], voxel_size[1], voxel_size[2]
    zero, half = np.float32(0), np.float32(0.5)
    one, two, three, four, five = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4), np.uint64(5)
    center_z = half * voxel_z + z0
    for i in range(counters[CELLS]):
        grid[np.uint64(cells[i])] = FREE
    rows = np.uint64(counters[PILLARS])
    for row in range(rows):
        cell = np.uint64(cells[row])
        iy = cell // nx
        ix = cell - iy * nx
        coordinates[row, 0] = np.int32(iy)
        coordinates[row, 1] = np.int32(ix)
        first = row * max_points
        count = np.uint64(num_points[row])
        sum_x, sum_y, sum_z = zero, zero, zero
        f = first * channels
        for slot in range(first, first + count):
            i = np.uint64(slots[slot])
            px, py, pz = x[i], y[i], z[i]
            sum_x += px
            sum_y += py
            sum_z += pz
            features[f] = px
            features[f + one] = py
            features[f + two] = pz
            if has_intensity:
                features[f + intensity_channel] = intensity[i] * intensity_scale
            if has_time:
                features[f + time_channel] = time_lag[i]
            f += channels
        divisor = np.float32(num_points[row])
        mean_x, mean_y, mean_z = sum_x / divisor, sum_y / divisor, sum_z / divisor
        center_x = (np.float32(np.int32(ix)) + half) * voxel_x + x0
        center_y = (np.float32(np.int32(iy)) + half) * voxel_y + y0
        f = first * channels
        for _ in range(count):
            px, py, pz = features[f], features[f + one], features[f + two]
            g = f + raw
            features[g] = px - mean_x
            features[g + one] = py - mean_y
            features[g + two] = pz - mean_z
            features[g + three] = px - center_x
            features[g + four] = py - center_y
            if has_center_z:
                features[g + five] = pz - center_z
            f += channels
        for k in range(f, (first + np.uint64(written[row])) * channels):
            features[k] = zero
        written[row] = num_points[row]
    for spare in range(rows, min_rows):
        first = spare * max_points * channels
        for k in range(first, first + np.uint64(written[spare]) * channels):
            features[k] = zero
        written[spare] = 0
