"""Compiled kernels of voxelisation and decoration; :mod:`pillars` states the arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from awml_extractors.jit import COLUMN, kernel, prefetch, read_only, tuple_of, writable

BLOCK = 512
"""Points whose cells are computed together, small enough to stay in the first-level cache."""

PREFETCH_ROWS = 8
"""How many pillars ahead of the one being written memory is asked for."""
FREE = -1
"""Grid entry of a cell without a pillar."""
SPARE_ROWS = 2
"""Rows beyond the pillars: they count the points out of range and those of dropped pillars."""

NUM_COUNTERS = 6
PILLARS, CELLS, FINITE, IN_RANGE, TRUNCATED, DROPPED_POINTS = range(NUM_COUNTERS)

_F32 = types.float32
_I32 = types.int32
_U64 = types.uint64

f32: Any = np.float32
i32: Any = np.int32
i64: Any = np.int64
u64: Any = np.uint64


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
        grid: [ny * nx + 1] pillar of a cell, or FREE; left filled for :func:`decorate_pillars`.
        cells: [ny * nx] out: cell of every pillar, then of every dropped pillar.
        num_points: [max_voxels + SPARE_ROWS] out: points of a pillar, stored or not.
        slots: [(max_voxels + SPARE_ROWS) * max_points + 1] out: index of the point in a slot; the
            last one takes all points that are not stored.
        block: [3, BLOCK] work space, ``block_cells`` [BLOCK] likewise.
        counters: [NUM_COUNTERS] out.
    """
    x0, y0, z0, x1, y1, z1 = limits[0], limits[1], limits[2], limits[3], limits[4], limits[5]
    voxel_x, voxel_y = voxel_size[0], voxel_size[1]
    nx, ny, max_points, max_voxels = sizes
    stride, last_x, last_y = i32(nx), i32(nx) - i32(1), i32(ny) - i32(1)
    outside = i32(nx * ny)
    bx, by, bz = block[0], block[1], block[2]
    pillars, touched = u64(0), u64(0)
    one, zero = u64(1), f32(0)
    unused_slot = (max_voxels + u64(SPARE_ROWS)) * max_points
    # Two rows beyond the pillars count what is not stored: they are full from the start.
    grid[nx * ny] = i32(max_voxels)
    num_points[max_voxels] = i32(max_points)
    num_points[max_voxels + one] = i32(max_points)
    infinite = 0
    for start in range(0, len(x), BLOCK):
        length = min(BLOCK, len(x) - start)
        whole = length - length % 4
        # Four at a time, so that the strided reads are gathered into vector stores.
        for i in range(0, whole, 4):
            for k in range(4):
                bx[i + k] = x[start + i + k]
                by[i + k] = y[start + i + k]
                bz[i + k] = z[start + i + k]
        for i in range(whole, length):
            bx[i] = x[start + i]
            by[i] = y[start + i]
            bz[i] = z[start + i]
        if has_intensity:
            for i in range(length):
                value = intensity[start + i]
                # Not zero only for NaN and infinity, which then make the point itself non-finite.
                bx[i] += value - value
        not_finite = i32(0)
        for i in range(length):
            px, py, pz = bx[i], by[i], bz[i]
            inside = (px >= x0) & (px < x1) & (py >= y0) & (py < y1) & (pz >= z0) & (pz < z1)
            difference = ((px - px) + (py - py)) + (pz - pz)
            not_finite += i32(0) if difference == zero else i32(1)
            qx = px if inside else x0
            qy = py if inside else y0
            ix = min(i32((qx - x0) / voxel_x), last_x)
            iy = min(i32((qy - y0) / voxel_y), last_y)
            block_cells[i] = iy * stride + ix if inside else outside
        infinite += not_finite
        for i in range(length):
            cell = u64(block_cells[i])
            pillar = grid[cell]
            if pillar == FREE:
                cells[touched] = i32(cell)
                touched += one
                if pillars < max_voxels:
                    pillar = i32(pillars)
                    num_points[pillars] = 0
                    pillars += one
                else:
                    pillar = i32(max_voxels + one)
                grid[cell] = pillar
            row = u64(pillar)
            count = u64(num_points[row])
            num_points[row] = i32(count + one)
            slots[row * max_points + count if count < max_points else unused_slot] = i32(start + i)
    counters[PILLARS] = pillars
    counters[CELLS] = touched
    counters[FINITE] = len(x) - infinite
    counters[IN_RANGE] = len(x) - (num_points[max_voxels] - i64(max_points))
    counters[DROPPED_POINTS] = num_points[max_voxels + one] - i64(max_points)


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
    zero, half = f32(0), f32(0.5)
    one, two, three, four, five = u64(1), u64(2), u64(3), u64(4), u64(5)
    center_z = half * voxel_z + z0
    for i in range(counters[CELLS]):
        grid[u64(cells[i])] = FREE
    rows = u64(counters[PILLARS])
    truncated = i64(0)
    last = max(rows, one) - one
    for row in range(rows):
        cell = u64(cells[row])
        iy = cell // nx
        ix = cell - iy * nx
        coordinates[row, 0] = i32(iy)
        coordinates[row, 1] = i32(ix)
        first = row * max_points
        prefetch(slots, min(row + u64(2 * PREFETCH_ROWS), last) * max_points)
        ahead = min(row + u64(PREFETCH_ROWS), last)
        for k in range(min(u64(num_points[ahead]), max_points)):
            prefetch(features, (ahead * max_points + k) * channels)
            prefetch(x, u64(slots[ahead * max_points + k]))
        truncated += max(i64(num_points[row]) - i64(max_points), 0)
        num_points[row] = min(num_points[row], i32(max_points))
        count = u64(num_points[row])
        sum_x, sum_y, sum_z = zero, zero, zero
        f = first * channels
        for slot in range(first, first + count):
            point = u64(slots[slot])
            px, py, pz = x[point], y[point], z[point]
            sum_x += px
            sum_y += py
            sum_z += pz
            features[f] = px
            features[f + one] = py
            features[f + two] = pz
            f += channels
        # Loops of their own: a branch in the one above, or in the one below, was measured slower.
        if has_intensity:
            f = first * channels + intensity_channel
            for slot in range(first, first + count):
                features[f] = intensity[u64(slots[slot])] * intensity_scale
                f += channels
        if has_time:
            f = first * channels + time_channel
            for slot in range(first, first + count):
                features[f] = time_lag[u64(slots[slot])]
                f += channels
        divisor = f32(num_points[row])
        mean_x, mean_y, mean_z = sum_x / divisor, sum_y / divisor, sum_z / divisor
        center_x = (f32(i32(ix)) + half) * voxel_x + x0
        center_y = (f32(i32(iy)) + half) * voxel_y + y0
        f = first * channels
        for _ in range(count):
            px, py, pz = features[f], features[f + one], features[f + two]
            g = f + raw
            features[g] = px - mean_x
            features[g + one] = py - mean_y
            features[g + two] = pz - mean_z
            features[g + three] = px - center_x
            features[g + four] = py - center_y
            f += channels
        if has_center_z:
            g = first * channels
            for _ in range(count):
                features[g + raw + five] = features[g + two] - center_z
                g += channels
        for k in range(f, (first + u64(written[row])) * channels):
            features[k] = zero
        written[row] = num_points[row]
    for spare in range(rows, min_rows):
        first = spare * max_points * channels
        for k in range(first, first + u64(written[spare]) * channels):
            features[k] = zero
        written[spare] = 0
    counters[TRUNCATED] = truncated
