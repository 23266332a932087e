"""What the kernels of a frame are compiled for: the model, and the sizes of the buffers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import ConfigError
from awml_deploy_core.runtime.cuda import KernelSource
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.pillars import ROUNDS

FOLDER = Path(__file__).parent / "kernels"
_AXES = "XYZ"
_SHARED_BYTES = 48 * 1024
"""Shared memory that every GPU gives to a block without being asked."""
_MOST_WARPS = 4
"""A pillar of many points keeps the others of its block waiting."""
HALF, FULL = np.dtype(np.float16), np.dtype(np.float32)


@dataclass(frozen=True)
class FrameSizes:
    """Capacities of the buffers of a frame."""

    max_points: int
    """Most points of all sweeps together."""
    max_sweeps: int
    max_segments: int
    """Runs of points of one sweep that follow each other in the order of the frame."""
    max_voxels: int
    """Most pillars."""
    min_rows: int
    """Rows that are clean after the last pillar."""

    @property
    def rows(self) -> int:
        """Rows of the buffers of pillars."""
        return max(self.max_voxels, self.min_rows)

    @classmethod
    def of(
        cls,
        config: CenterPointConfig,
        max_points: int,
        max_sweeps: int,
        max_voxels: int | None,
        min_rows: int,
    ) -> FrameSizes:
        """The sizes that a model and the capacities of its user make."""
        rounds = ROUNDS if config.point_order == "interleaved" else 1
        voxels = config.voxel_capacity if max_voxels is None else max_voxels
        return cls(max_points, max_sweeps, rounds * max_sweeps, voxels, min_rows)


def check_dtype(dtype: npt.DTypeLike) -> np.dtype[np.generic]:
    """The dtype of features on the device.

    Raises:
        ConfigError: It is neither float32 nor float16.
    """
    found = np.dtype(dtype)
    if found not in (HALF, FULL):
        raise ConfigError("dtype of features", "is not offered", got=found, expected="float32 or float16")
    return found


def decoration_warps(config: CenterPointConfig) -> int:
    """Pillars that a block decorates side by side.

    Raises:
        ConfigError: Not even one pillar fits into shared memory.
    """
    row_bytes = 4 * config.max_points_per_voxel * config.num_encoder_features
    warps = min(_MOST_WARPS, _SHARED_BYTES // row_bytes)
    if warps == 0:
        raise ConfigError(
            "max_points_per_voxel",
            "too many for the GPU",
            got=config.max_points_per_voxel,
            expected=f"at most {_SHARED_BYTES // (4 * config.num_encoder_features)}",
            hint="Run this model's preprocessing on the CPU.",
        )
    return warps


def frame_source(
    name: str, config: CenterPointConfig, sizes: FrameSizes, dtype: np.dtype[np.generic]
) -> KernelSource:
    """``voxelize.cu`` or ``decorate.cu`` for one model.

    Numbers of the model are written as hexadecimal float32, so that not a bit is lost.

    Raises:
        ConfigError: See :func:`decoration_warps`.
    """
    nx, ny = config.grid_size
    features = config.point_features
    values: dict[str, int | str] = {
        "NX": nx,
        "NY": ny,
        "MAX_SWEEPS": sizes.max_sweeps,
        "MAX_SEGMENTS": sizes.max_segments,
        "MAX_VOXELS": sizes.max_voxels,
        "MIN_ROWS": sizes.min_rows,
        "MAX_POINTS": config.max_points_per_voxel,
        "CHANNELS": config.num_encoder_features,
        "RAW_CHANNELS": config.num_raw_features,
        "CENTER_DIMS": config.center_offset_dims,
        # Both come after x, y, z: 0 is none.
        "INTENSITY_CHANNEL": features.index("intensity") if "intensity" in features else 0,
        "TIME_CHANNEL": features.index("time_lag") if "time_lag" in features else 0,
        "INTENSITY_SCALE": _exact(config.intensity_scale),
        "HALF_FEATURES": int(dtype == HALF),
        "DECORATE_WARPS": decoration_warps(config),
    }
    for axis, letter in enumerate(_AXES):
        values[f"{letter}_MIN"] = _exact(config.point_cloud_range[axis])
        values[f"{letter}_MAX"] = _exact(config.point_cloud_range[axis + 3])
        values[f"VOXEL_{letter}"] = _exact(config.voxel_size[axis])
    return KernelSource(FOLDER / name, _definitions(values))


def scatter_source(config: CenterPointConfig, dtype: np.dtype[np.generic]) -> KernelSource:
    """``scatter.cu`` for one model."""
    nx, ny = config.grid_size
    values = {
        "NX": nx,
        "NY": ny,
        "FEATURES": config.num_pillar_features,
        "HALF_FEATURES": int(dtype == HALF),
    }
    return KernelSource(FOLDER / "scatter.cu", _definitions(values))


def _exact(value: float) -> str:
    return f"({float(np.float32(value)).hex()}f)"


def _definitions(values: dict[str, int | str]) -> tuple[str, ...]:
    return tuple(f"-D{name}={value}" for name, value in values.items())
