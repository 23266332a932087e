"""A known cloud, and what it makes of the encoder's input and of the canvas.

Some of its points are just inside the range, in opposite corners, and some just outside, beyond every
face: a range that is shifted or of another size keeps others.

Computed in float64 from the configuration's figures and the documented decoration, without the code
that voxelises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.family import Probe
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.probe_encoding import encode, expected
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD, VOXEL_ENCODER

Array = npt.NDArray[np.float64]


_MARGIN = 0.01
"""Distance of points from the limits of the range [m]: float32 rounds to 1e-5 m at 200 m."""


def pillar_probe(config: CenterPointConfig, options: Mapping[str, Any]) -> Probe:
    """Two points in a pillar of the current sweep, and those of a past, moved sweep in three others.

    Options are those of the pipeline, which finds no box.
    """
    frame, features, places = known_cloud(config)
    width = config.num_pillar_features
    factors = np.array([1.0, -1.0, 0.5, -2.0], np.float32).reshape(-1, 1, 1)
    lifted = np.arange(1, width + 1, dtype=np.float32) * factors
    nx, ny = config.grid_size
    canvas = np.zeros((1, width, ny, nx), np.float32)
    for pillar, (column, row) in enumerate(places):
        canvas[0, :, row, column] = lifted[pillar, 0]
    return Probe(
        "points into pillars",
        frame,
        {VOXEL_ENCODER: {"pillar_features": lifted}, BACKBONE_NECK_HEAD: encode(config, [])},
        options,
        expected(config, []),
        {
            VOXEL_ENCODER: {"input_features": features},
            BACKBONE_NECK_HEAD: {"spatial_features": canvas},
        },
        {"input_features": _channel_names(config)},
    )


def _channel_names(config: CenterPointConfig) -> tuple[str, ...]:
    centre = [f"{axis} from the centre" for axis in "xyz"[: config.center_offset_dims]]
    return (*config.point_features, *(f"{axis} from the mean" for axis in "xyz"), *centre)


def known_cloud(
    config: CenterPointConfig,
) -> tuple[PointCloudFrame, npt.NDArray[np.float32], list[tuple[int, int]]]:
    """A frame, the encoder's input that it makes, and the column and row of its pillars.

    Pillars and slots are the same in either order of points. The past sweep is moved by its transform.
    """
    low, high = np.array(config.point_cloud_range[:3]), np.array(config.point_cloud_range[3:])
    voxel, lag = np.array(config.voxel_size), 0.1
    nx, ny = config.grid_size
    places = [(nx // 5, (2 * ny) // 3), ((3 * nx) // 4, ny // 7), (0, 0), (nx - 1, ny - 1)]
    current = _in_cell(low, voxel, places[0], [(0.2, 0.7, 0.3), (0.6, 0.1, 0.8)])
    past = _in_cell(low, voxel, places[1], [(0.45, 0.9, 0.5)])
    pillars = [current, past, (low + _MARGIN)[None], (high - _MARGIN)[None]]
    intensities = [[40.0, 200.0], [120.0], [7.0], [255.0]]
    move = np.eye(4)
    move[:3, 3] = [1.5, -0.75, 0.1]
    outside = _beyond_every_face(past[0], low, high)
    moved = np.concatenate([*pillars[1:], outside]) - move[:3, 3]
    strengths = [value for pillar in intensities[1:] for value in pillar] + [90.0] * len(outside)
    sweeps = (
        Sweep(_columns(current, intensities[0])),
        Sweep(_columns(moved, strengths), lag, move),
    )
    slots = config.max_points_per_voxel
    features = np.zeros((len(pillars), slots, config.num_encoder_features), np.float32)
    for pillar, place in enumerate(places):
        stored = pillars[pillar][:slots]
        center = low + (np.array([*place, 0]) + 0.5) * voxel
        for slot, xyz in enumerate(stored):
            raw = {
                "x": xyz[0],
                "y": xyz[1],
                "z": xyz[2],
                "intensity": intensities[pillar][slot] * config.intensity_scale,
                "time_lag": lag if pillar else 0.0,
            }
            features[pillar, slot] = [
                *(raw[name] for name in config.point_features),
                *(xyz - stored.mean(axis=0)),
                *(xyz - center)[: config.center_offset_dims],
            ]
    return PointCloudFrame(sweeps), features, places


def _in_cell(low: Array, voxel: Array, place: tuple[int, int], spots: list[tuple[float, ...]]) -> Array:
    """Points at fractions of a cell."""
    return low + (np.array([*place, 0]) + np.array(spots)) * voxel


def _beyond_every_face(inside: Array, low: Array, high: Array) -> Array:
    """A point moved out of the range in every direction."""
    points = np.tile(inside, (6, 1))
    for axis in range(3):
        points[2 * axis, axis] = low[axis] - _MARGIN
        points[2 * axis + 1, axis] = high[axis] + _MARGIN
    return points


def _columns(points: Array, intensities: list[float]) -> PointColumns:
    return PointColumns.from_array(np.column_stack([points, intensities]).astype(np.float32))
