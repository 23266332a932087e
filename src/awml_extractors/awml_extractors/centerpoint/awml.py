"""AWML's deploy configurations and mmdet3d-style model configurations of CenterPoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from awml_deploy_core.awml_import import AwmlComponent, AwmlModel, AwmlSource
from awml_deploy_core.awml_import.source import lookup
from awml_deploy_core.errors import ConfigError
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD, VOXEL_ENCODER

_FILES = {VOXEL_ENCODER: "voxel_encoder_onnx", BACKBONE_NECK_HEAD: "backbone_neck_head_onnx"}
_OUTPUTS = ("heatmap", "reg", "height", "dim", "rot", "vel")
_RAW_FEATURES = {4: ("x", "y", "z", "time_lag"), 5: ("x", "y", "z", "intensity", "time_lag")}
_ENCODER_FEATURES: dict[int, dict[str, Any]] = {
    9: {"point_features": ["x", "y", "z", "time_lag"], "center_offset_dims": 2},
    10: {"point_features": ["x", "y", "z", "time_lag"], "center_offset_dims": 3},
    11: {"point_features": ["x", "y", "z", "intensity", "time_lag"], "center_offset_dims": 3},
}
"""What the number of features of a decorated point means."""


def _last(value: Any) -> Any:
    """mmdet3d gives the voxels of training and of testing."""
    return value[-1] if isinstance(value, list | tuple) and value else value


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and value else value


def _same(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


_MODEL_KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "class_names": ("class_names", lambda names: [str(name).upper() for name in names]),
    "point_cloud_range": ("point_cloud_range", _same),
    "voxel_size": ("voxel_size", _same),
    "model.data_preprocessor.voxel_layer.point_cloud_range": ("point_cloud_range", _same),
    "model.data_preprocessor.voxel_layer.voxel_size": ("voxel_size", _same),
    "model.data_preprocessor.voxel_layer.max_num_points": ("max_points_per_voxel", _same),
    "model.data_preprocessor.voxel_layer.max_voxels": ("max_voxels", _last),
    "model.pts_voxel_encoder.feat_channels": ("pfn_channels", _same),
    "model.pts_backbone.out_channels": ("backbone_channels", _same),
    "model.pts_backbone.layer_nums": ("backbone_layers", _same),
    "model.pts_backbone.layer_strides": ("backbone_strides", _same),
    "model.pts_neck.out_channels": ("neck_channels", _same),
    "model.pts_neck.upsample_strides": ("neck_strides", _same),
    "model.pts_neck.use_conv_for_no_stride": ("neck_conv_for_no_stride", _same),
    "model.pts_bbox_head.share_conv_channel": ("head_channels", _same),
    "model.pts_bbox_head.separate_head.final_kernel": ("head_kernel", _same),
    "model.pts_bbox_head.bbox_coder.max_num": ("postprocess.mmdet3d_pre_max", _same),
    "model.pts_bbox_head.bbox_coder.score_threshold": ("postprocess.mmdet3d_score_threshold", _same),
    "model.test_cfg.pts.min_radius": ("postprocess.mmdet3d_min_radius", _first),
    "model.test_cfg.pts.post_max_size": ("postprocess.mmdet3d_post_max", _same),
}
"""Our key by that of the model's configuration, and how its value is read."""


def import_awml(source: AwmlSource) -> AwmlModel | None:
    """Our ``model`` section, or None if the source is of another model.

    What the model's configuration says counts; the engine's profile of the deploy configuration
    fills in what it leaves out.

    Raises:
        ConfigError: Outputs are in another order than the exchange format's, or the encoder's
            features are of no known decoration.
    """
    components = source.components()
    if _FILES.keys() != components.keys() and source.model_type != "CenterPoint":
        return None
    section: dict[str, Any] = {}
    used: dict[str, str] = {"task_type": ""}
    for name, target in _FILES.items():
        component = components.get(name)
        if component is None:
            continue
        used |= dict.fromkeys(component.io_keys, "")
        if component.onnx_file is not None:
            section[target] = component.onnx_file
            used[component.onnx_file_key] = target
    _check_outputs(components.get(BACKBONE_NECK_HEAD))
    _from_profile(components.get(VOXEL_ENCODER), section, used)
    _from_model(source.model or {}, section, used)
    return AwmlModel(section, used)


def _check_outputs(head: AwmlComponent | None) -> None:
    if head is not None and head.outputs and head.outputs != _OUTPUTS:
        raise ConfigError(
            head.io_keys[0],
            "outputs are not those of the exchange format, which binds them by index",
            got=", ".join(head.outputs),
            expected=", ".join(_OUTPUTS),
        )


def _from_profile(encoder: AwmlComponent | None, section: dict[str, Any], used: dict[str, str]) -> None:
    ranges = None if encoder is None else encoder.ranges("input_features")
    if encoder is None or ranges is None or len(ranges) != 3:
        return
    section |= {"max_voxels": ranges[0][2], "max_points_per_voxel": ranges[1][2]}
    section |= _features(ranges[2][2], encoder.profile_key)
    used[encoder.profile_key] = "max_voxels, max_points_per_voxel, point_features, center_offset_dims"


def _features(count: Any, key: str) -> dict[str, Any]:
    if count not in _ENCODER_FEATURES:
        raise ConfigError(
            key,
            "number of features of a decorated point is of no known decoration",
            got=count,
            expected=" or ".join(map(str, _ENCODER_FEATURES)),
        )
    return _ENCODER_FEATURES[count]


def _from_model(model: Mapping[str, Any], section: dict[str, Any], used: dict[str, str]) -> None:
    for key, (target, read) in _MODEL_KEYS.items():
        value = lookup(model, key)
        if value is None:
            continue
        part, _, option = target.partition(".")
        if option:
            section.setdefault(part, {})[option] = read(value)
        else:
            section[target] = read(value)
        used[f"model_config.{key}"] = target
    raw = lookup(model, "model.pts_voxel_encoder.in_channels")
    if raw in _RAW_FEATURES:
        section["point_features"] = list(_RAW_FEATURES[raw])
        used["model_config.model.pts_voxel_encoder.in_channels"] = "point_features"
    # AWML's own encoder leaves z out of the offset to the pillar's centre.
    kind = lookup(model, "model.pts_voxel_encoder.type")
    if isinstance(kind, str):
        section["center_offset_dims"] = 2 if kind == "BackwardPillarFeatureNet" else 3
        used["model_config.model.pts_voxel_encoder.type"] = "center_offset_dims"
