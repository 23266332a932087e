"""What Autoware's ``autoware_lidar_centerpoint`` node has built in, and models it cannot run."""

from __future__ import annotations

import numpy as np

from awml_extractors.centerpoint.class_remapper import LABELS
from awml_extractors.centerpoint.config import AUTOWARE_CONVENTION, CenterPointConfig, RawFeature

POINTS_PER_VOXEL = 32
PILLAR_FEATURES = 32
RAW_FEATURES: dict[int, tuple[RawFeature, ...]] = {
    3: ("x", "y", "z"),
    4: ("x", "y", "z", "time_lag"),
    5: ("x", "y", "z", "intensity", "time_lag"),
}
"""Channels of a point that a bundle of another origin means by its ``point_feature_size``."""
_DECORATIONS = {(RAW_FEATURES[4], 2), (RAW_FEATURES[4], 3), (RAW_FEATURES[5], 3)}
"""Raw channels and ``center_offset_dims`` that its pre-processing can fill."""


def reasons_against(config: CenterPointConfig) -> list[str]:
    """Why the node cannot run a model as it is, or would misread its output; one clause each."""
    reasons = []
    if config.max_points_per_voxel != POINTS_PER_VOXEL:
        reasons.append(f"max_points_per_voxel is {config.max_points_per_voxel}, not {POINTS_PER_VOXEL}")
    if config.num_pillar_features != PILLAR_FEATURES:
        reasons.append(f"a pillar has {config.num_pillar_features} features, not {PILLAR_FEATURES}")
    if "intensity" in config.point_features and config.intensity_scale != 1.0:
        reasons.append(f"intensity_scale is {config.intensity_scale:g}, not 1")
    if config.head_convention != AUTOWARE_CONVENTION:
        convention = config.head_convention
        reasons.append(
            f"head_convention is {convention.dim_order}, {convention.rot_encoding}, not "
            f"{AUTOWARE_CONVENTION.dim_order}, {AUTOWARE_CONVENTION.rot_encoding}"
        )
    if (config.point_features, config.center_offset_dims) not in _DECORATIONS:
        reasons.append(
            f"it does not fill point_features {', '.join(config.point_features)} with an offset to the "
            f"centre of {config.center_offset_dims} dimensions"
        )
    if (grid := _grid_size(config)) != config.grid_size:
        reasons.append(f"its rounding makes the grid {grid}, not {config.grid_size}")
    if strange := [name for name in config.class_names if name not in LABELS and name.upper() in LABELS]:
        reasons.append(f"class_names {', '.join(strange)} are not in capitals, so it takes them as UNKNOWN")
    if config.postprocess.decoder != "autoware":
        reasons.append(f"postprocess.decoder is {config.postprocess.decoder}; it decodes its own way")
    return reasons


def _grid_size(config: CenterPointConfig) -> tuple[int, int]:
    """Cells nx, ny in its arithmetic: float32, rounded down."""
    limits = np.array(config.point_cloud_range, np.float32)
    cells = (limits[3:5] - limits[:2]) / np.array(config.voxel_size[:2], np.float32)
    nx, ny = cells.astype(np.int64).tolist()
    return nx, ny
