"""A known cloud, and what it makes of the encoder's input and of the canvas.

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


def pillar_probe(config: CenterPointConfig, options: Mapping[str, Any]) -> Probe:
    """Two points in a pillar of the current sweep and one of a past, moved sweep in another.

    Options are those of the pipeline, which finds no box.
    """
    frame, features, places = known_cloud(config)
    width = config.num_pillar_features
    lifted = np.arange(1, width + 1, dtype=np.float32) * np.array([[[1.0]], [[-1.0]]], np.float32)
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
    )


def known_cloud(
    config: CenterPointConfig,
) -> tuple[PointCloudFrame, npt.NDArray[np.float32], list[tuple[int, int]]]:
    """A frame, the encoder's input that it makes, and the column and row of both pillars.

    Pillars and slots are the same in either order of points. The past sweep is moved by its transform.
    """
    low, voxel, lag = config.point_cloud_range, config.voxel_size, 0.1
    nx, ny = config.grid_size
    places = [(nx // 5, (2 * ny) // 3), ((3 * nx) // 4, ny // 7)]
    spots = [[(0.2, 0.7, 0.3), (0.6, 0.1, 0.8)], [(0.45, 0.9, 0.5)]]
    points = [
        [
            [
                low[0] + (place[0] + spot[0]) * voxel[0],
                low[1] + (place[1] + spot[1]) * voxel[1],
                low[2] + spot[2] * voxel[2],
            ]
            for spot in pillar
        ]
        for place, pillar in zip(places, spots, strict=True)
    ]
    intensities = [[40.0, 200.0], [120.0]]
    move = np.eye(4)
    move[:3, 3] = [1.5, -0.75, 0.1]
    past = np.array(points[1]) - move[:3, 3]
    sweeps = []
    for xyz, intensity, time_lag, transform in (
        (np.array(points[0]), intensities[0], 0.0, None),
        (past, intensities[1], lag, move),
    ):
        columns = np.column_stack([xyz, intensity]).astype(np.float32)
        sweeps.append(Sweep(PointColumns.from_array(columns), time_lag, transform))
    slots = config.max_points_per_voxel
    features = np.zeros((2, slots, config.num_encoder_features), np.float32)
    for pillar, place in enumerate(places):
        stored = np.array(points[pillar])[:slots]
        center = [low[axis] + (place[axis] + 0.5) * voxel[axis] for axis in (0, 1)]
        center.append(low[2] + 0.5 * voxel[2])
        for slot, xyz in enumerate(stored):
            raw = {
                "x": xyz[0],
                "y": xyz[1],
                "z": xyz[2],
                "intensity": intensities[pillar][slot] * config.intensity_scale,
                "time_lag": lag * pillar,
            }
            features[pillar, slot] = [
                *(raw[name] for name in config.point_features),
                *(xyz - stored.mean(axis=0)),
                *(xyz - center)[: config.center_offset_dims],
            ]
    return PointCloudFrame(tuple(sweeps)), features, places
