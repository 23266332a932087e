"""What the ONNX files of a CenterPoint say about themselves."""

from __future__ import annotations

from collections.abc import Mapping

from awml_extractors.centerpoint.config import CenterPointConfig

FAMILY = "centerpoint"


def onnx_metadata(config: CenterPointConfig, component: str) -> dict[str, str]:
    """Metadata properties of a component's file: everything that decides what its tensors mean."""
    return {
        "model_family": FAMILY,
        "component": component,
        "class_names": ",".join(config.class_names),
        "point_features": ",".join(config.point_features),
        "head_dim_order": config.head_convention.dim_order,
        "head_rot_encoding": config.head_convention.rot_encoding,
        "point_cloud_range": ",".join(f"{value:g}" for value in config.point_cloud_range),
        "voxel_size": ",".join(f"{value:g}" for value in config.voxel_size),
        "out_size_factor": str(config.out_size_factor),
        "intensity_scale": f"{config.intensity_scale:g}",
    }


def metadata_problems(config: CenterPointConfig, component: str, metadata: Mapping[str, str]) -> list[str]:
    """One clause for every property of a file that contradicts the configuration."""
    return [
        f"{name} is {metadata[name]!r}, the configuration says {value!r}"
        for name, value in onnx_metadata(config, component).items()
        if name in metadata and metadata[name] != value
    ]
