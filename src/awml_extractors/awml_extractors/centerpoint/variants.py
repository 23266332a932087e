"""Named CenterPoint variants and the parsing of a ``model`` configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from awml_deploy_core.errors import ConfigError
from awml_deploy_core.validation import located_problems, problem_clauses, suggest
from awml_extractors.centerpoint.config import CenterPointConfig

_WITH_INTENSITY = ("x", "y", "z", "intensity", "time_lag")
_AWML_POSTPROCESS = {"mmdet3d_min_radius": 1.0}
"""What AWML's test configuration of CenterPoint has besides mmdet3d's defaults."""
_RANGE_121 = {
    "point_cloud_range": (-121.6, -121.6, -3.0, 121.6, 121.6, 5.0),
    "voxel_size": (0.32, 0.32, 8.0),
    "max_voxels": 64000,
    "head_kernel": 1,
    "postprocess": _AWML_POSTPROCESS,
}
_RANGE_122 = {
    "point_cloud_range": (-122.4, -122.4, -3.0, 122.4, 122.4, 5.0),
    "voxel_size": (0.24, 0.24, 8.0),
    "max_voxels": 96000,
    "center_offset_dims": 3,
    "neck_strides": (0.5, 1.0, 2.0),
    "head_kernel": 1,
    "postprocess": _AWML_POSTPROCESS,
}

VARIANTS: dict[str, dict[str, Any]] = {
    # Autoware's published packages leave the velocity output unused.
    "autoware_base": {"has_twist": False},
    # Its strides are not published; these give its published output size and cost.
    "autoware_tiny": {
        "has_twist": False,
        "backbone_strides": (2, 2, 2),
        "neck_strides": (1.0, 2.0, 4.0),
    },
    "awml_1_6": _RANGE_121,
    "awml_1_7": {**_RANGE_121, "center_offset_dims": 3},
    "awml_2_3": {**_RANGE_121, "center_offset_dims": 3},
    "awml_2_5": _RANGE_122,
    "awml_2_6": _RANGE_122,
    "awml_j6gen2": {**_RANGE_122, "point_features": _WITH_INTENSITY},
    # AWML's published weights have a ConvNeXt backbone: they run as ONNX, but do not load here.
    "awml_short_range": {
        "point_cloud_range": (-51.2, -51.2, -3.0, 51.2, 51.2, 5.0),
        "voxel_size": (0.16, 0.16, 8.0),
        "max_voxels": 64000,
        "center_offset_dims": 3,
        "backbone_strides": (2, 2, 2),
        "neck_strides": (0.5, 1.0, 2.0),
        "head_kernel": 1,
        "postprocess": _AWML_POSTPROCESS,
    },
    # Small enough for 10 Hz in ONNX Runtime on two CPU cores.
    "demo": {
        "point_cloud_range": (-51.2, -51.2, -3.0, 51.2, 51.2, 5.0),
        "voxel_size": (0.32, 0.32, 8.0),
        "max_voxels": 20000,
        "point_order": "interleaved",
        "backbone_channels": (32, 64, 128),
        "backbone_layers": (1, 3, 3),
        "backbone_strides": (2, 2, 2),
        "neck_channels": (32, 32, 32),
        "neck_strides": (1.0, 2.0, 4.0),
        "head_channels": 32,
        "head_kernel": 1,
    },
}
"""What each variant changes in CenterPointConfig's defaults."""

_FITTED_TOGETHER = frozenset(
    {"class_names", "point_cloud_range", "voxel_size", "backbone_strides", "neck_strides"}
)
"""Keys without which the others cannot be judged: a default in their place would not fit them."""


def parse_config(raw: Mapping[str, Any]) -> CenterPointConfig:
    """A configuration from ``{variant: name, ...changes}`` or from CenterPointConfig's own keys.

    A changed ``postprocess`` keeps what it does not name from the variant's.

    Raises:
        ConfigError: The variant is unknown, or keys are unknown or invalid; all are listed.
    """
    values = dict(raw)
    base: dict[str, Any] = {}
    if "variant" in values:
        variant = values.pop("variant")
        if not isinstance(variant, str) or variant not in VARIANTS:
            raise ConfigError("model", "is invalid", problems=_problems_of_unknown(variant, values))
        base = VARIANTS[variant]
        if isinstance(values.get("postprocess"), Mapping):
            values["postprocess"] = {**base.get("postprocess", {}), **values["postprocess"]}
    values = {**base, **values}
    try:
        return CenterPointConfig.model_validate(values)
    except ValidationError as error:
        problems = problem_clauses(error, CenterPointConfig)
        faulty = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
        problems += _contradictions(values, faulty)
        raise ConfigError("model", "is invalid", problems=problems) from None


def _problems_of_unknown(variant: object, values: Mapping[str, Any]) -> list[str]:
    """What is wrong whatever variant was meant; whether values fit together depends on it."""
    problems = [f"variant: unknown variant {variant!r}" + suggest(str(variant), VARIANTS)]
    try:
        CenterPointConfig.model_validate(values)
    except ValidationError as error:
        of_keys = [(at, clause) for at, clause in located_problems(error, CenterPointConfig) if at]
        problems += [f"{'.'.join(map(str, at))}: {clause}" for at, clause in of_keys]
    return problems


def _contradictions(values: Mapping[str, Any], faulty: Collection[str]) -> list[str]:
    """What does not fit together beside the faulty keys, which is only judged once there are none."""
    if not faulty or not _FITTED_TOGETHER.isdisjoint(faulty):
        return []
    try:
        CenterPointConfig.model_validate({key: v for key, v in values.items() if key not in faulty})
    except ValidationError as error:
        return problem_clauses(error, CenterPointConfig)
    return []
