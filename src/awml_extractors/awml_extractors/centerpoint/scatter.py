"""Scatter of pillar features onto the bird's-eye-view canvas."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from awml_deploy_core.errors import TensorMismatchError
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.jit import kernel, read_only, writable


@kernel(
    writable(types.float32, 2),
    writable(types.int64),
    types.int64,
    read_only(types.float32, 2),
    read_only(types.int32, 2),
    types.int64,
)
def _scatter(canvas: Any, cells: Any, previous: int, features: Any, coordinates: Any, nx: int) -> None:
    count = len(coordinates)
    # Channel by channel, so that the written plane stays in the cache.
    for channel in range(len(canvas)):
        plane = canvas[channel]
        for i in range(previous):
            plane[np.uint64(cells[i])] = np.float32(0)
        for i in range(count):
            plane[np.uint64(coordinates[i, 0] * nx + coordinates[i, 1])] = features[i, channel]
    for i in range(count):
        cells[i] = coordinates[i, 0] * nx + coordinates[i, 1]


class PillarScatter:
    """Writes pillars to cell ``y * nx + x`` of a canvas that it reuses between frames.

    A frame clears only the cells that the one before it wrote. Not re-entrant.
    """

    def __init__(self, config: CenterPointConfig) -> None:
        nx, ny = config.grid_size
        self._canvas = np.zeros((1, config.num_pillar_features, ny, nx), np.float32)
        self._cells = np.zeros(nx * ny, np.int64)
        self._written = 0

    def scatter(
        self, features: npt.NDArray[np.float32], coordinates: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Canvas ``[1, F, ny, nx]`` of a frame, valid until the next one.

        Args:
            features: Encoder output ``[rows, 1, F]`` or ``[rows, F]``; rows beyond the pillars
                (padding) are ignored.
            coordinates: int32 ``[pillars, 2]``: distinct cells y, x on the canvas.

        Raises:
            TensorMismatchError: The features have another width or fewer rows than pillars.
        """
        _, channels, ny, nx = self._canvas.shape
        count = len(coordinates)
        if features.shape[-1] != channels or features.size // channels < count:
            raise TensorMismatchError(
                "pillar features", "wrong shape", got=features.shape, expected=f"[{count}, 1, {channels}]"
            )
        rows = np.ascontiguousarray(features, np.float32).reshape(-1, channels)
        _scatter(self._canvas.reshape(channels, ny * nx), self._cells, self._written, rows, coordinates, nx)
        self._written = count
        return self._canvas
