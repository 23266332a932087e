"""The metadata files of Autoware's ``autoware_lidar_centerpoint`` model bundle, version 4.1.

``ml_package.param.yaml`` and ``detection_class_remapper.param.yaml`` are ROS parameter files that
Autoware's node reads. ``deploy_metadata.yaml`` carries the bundle's version for tools, and here
also what the parameter files cannot express, because Autoware's node has it built in.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import io_errors
from awml_deploy_core.validation import problem_clauses
from awml_extractors.bundle_names import OnnxFile
from awml_extractors.bundle_yaml import read_yaml, ros_parameters, write_yaml
from awml_extractors.centerpoint import autoware_node, class_remapper
from awml_extractors.centerpoint.class_remapper import RemapRule
from awml_extractors.centerpoint.config import (
    AUTOWARE_CONVENTION,
    CenterPointConfig,
    HeadConvention,
    Positive,
    PositiveFloat,
    RawFeature,
)
from awml_extractors.centerpoint.options import PostprocessOptions

ML_PACKAGE = "ml_package.param.yaml"
DEPLOY_METADATA = "deploy_metadata.yaml"
VERSION = "v4.1"

_VERSION = re.compile(r"[vV]?(\d+)\.(\d+)")
_LOG = logging.getLogger(__name__)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _ScoreThresholds(_Strict):
    distance_bin_upper_limits: list[float]
    min_confidence_scores: dict[str, list[float]]


class _ModelParams(_Strict):
    class_names: list[str]
    point_feature_size: int
    point_features: list[RawFeature] | None = None
    """What the size means; only in bundles of channels that Autoware does not have."""
    max_voxel_size: int = Field(ge=1)
    point_cloud_range: list[float] = Field(min_length=6, max_length=6)
    voxel_size: list[float] = Field(min_length=3, max_length=3)
    downsample_factor: int = Field(ge=1)
    encoder_in_feature_size: int
    has_variance: bool
    has_twist: bool
    yaw_norm_thresholds: list[float]
    detection_score_thresholds: _ScoreThresholds


class _MlPackage(_Strict):
    version: str
    encoder_onnx_path: OnnxFile
    encoder_engine_path: str
    head_onnx_path: OnnxFile
    head_engine_path: str
    class_remapper_param_path: str
    trt_precision: str
    model_params: _ModelParams


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    try:
        PostprocessOptions.model_validate(options)
    except ValidationError as error:
        raise ValueError("; ".join(problem_clauses(error, PostprocessOptions))) from None
    return options


class _DeployMetadata(BaseModel):
    """What this suite adds to ``deploy_metadata.yaml``; a foreign bundle has none of it."""

    model_config = ConfigDict(frozen=True)

    point_features: tuple[RawFeature, ...] | None = None
    intensity_scale: PositiveFloat = 1.0
    max_points_per_voxel: Positive = autoware_node.POINTS_PER_VOXEL
    pillar_features: Positive = autoware_node.PILLAR_FEATURES
    head_convention: HeadConvention = AUTOWARE_CONVENTION
    postprocess: Annotated[dict[str, Any], AfterValidator(_checked)] = Field(default_factory=dict)
    """Options of mmdet3d's decoder, which Autoware's node does not have, where they are not the default."""


def write_bundle_files(config: CenterPointConfig, folder: Path) -> None:
    """Write the three files, each whole or not at all.

    A model that Autoware's node cannot run is written all the same, with a warning: this suite can.

    Raises:
        ArtifactError: A file cannot be written.
    """
    if reasons := autoware_node.reasons_against(config):
        _LOG.warning("Autoware's own node cannot run this model as it is: %s", "; ".join(reasons))
    for name in (config.voxel_encoder_onnx, config.backbone_neck_head_onnx):
        if (parent := Path(name).parent) != Path():
            with io_errors(folder / parent, "cannot be made"):
                (folder / parent).mkdir(parents=True, exist_ok=True)
    write_yaml(folder / ML_PACKAGE, {"/**": {"ros__parameters": _ml_package(config)}})
    # The node on the vehicle decodes as Autoware does, whatever decoder is configured here.
    options = config.postprocess
    rules = options.class_remapper if options.remap_classes is not False else ()
    write_yaml(
        folder / class_remapper.FILE_NAME,
        {"/**": {"ros__parameters": class_remapper.parameters(rules or ())}},
    )
    given = options.model_dump(mode="json", exclude_defaults=True)
    metadata = _DeployMetadata(
        point_features=config.point_features,
        intensity_scale=config.intensity_scale,
        max_points_per_voxel=config.max_points_per_voxel,
        pillar_features=config.num_pillar_features,
        head_convention=config.head_convention,
        postprocess={name: value for name, value in given.items() if name.startswith("mmdet3d_")},
    )
    content = metadata.model_dump(mode="json", exclude=None if metadata.postprocess else {"postprocess"})
    write_yaml(folder / DEPLOY_METADATA, {"version": VERSION, "centerpoint": content})


def read_bundle(folder: Path) -> CenterPointConfig | None:
    """The configuration that running a bundle needs, or None if ``folder`` has no ``ml_package``.

    Geometry, classes and thresholds are the bundle's. Its network is not described, so the widths
    and strides of the result only reproduce the component's inputs and outputs.

    Raises:
        ArtifactError: A file is unreadable, of an unsupported version, or keys are missing or
            invalid; all of them are listed.
    """
    path = folder / ML_PACKAGE
    if not path.is_file():
        return None
    parameters = ros_parameters(path)
    _check_version(path, parameters.get("version"))
    package = _validate(_MlPackage, parameters, path)
    rules = None
    if (remapper := folder / package.class_remapper_param_path).is_file():
        rules = class_remapper.parse_parameters(ros_parameters(remapper), remapper)
    else:
        _warn_of_missing_rules(remapper.resolve())
    metadata = _DeployMetadata()
    if (extra := folder / DEPLOY_METADATA).is_file():
        content = read_yaml(extra)
        if isinstance(content, Mapping):
            metadata = _validate(_DeployMetadata, content.get("centerpoint") or {}, extra)
    return _config(package, metadata, rules, path)


@cache
def _warn_of_missing_rules(path: Path) -> None:
    """Once, however often a command opens the bundle."""
    _LOG.warning("%s is missing; boxes change their class as Autoware's own models have it", path)


def _ml_package(config: CenterPointConfig) -> dict[str, Any]:
    options = config.postprocess
    bins = options.distance_bin_upper_limits
    scores = {name: list(options.score_thresholds(name)) for name in config.class_names}
    features = None
    if config.point_features != autoware_node.RAW_FEATURES.get(config.num_raw_features):
        features = list(config.point_features)
    return _MlPackage(
        version=VERSION,
        encoder_onnx_path=config.voxel_encoder_onnx,
        encoder_engine_path=str(Path(config.voxel_encoder_onnx).with_suffix(".engine")),
        head_onnx_path=config.backbone_neck_head_onnx,
        head_engine_path=str(Path(config.backbone_neck_head_onnx).with_suffix(".engine")),
        class_remapper_param_path=class_remapper.FILE_NAME,
        trt_precision="fp16",
        model_params=_ModelParams(
            class_names=list(config.class_names),
            point_feature_size=config.num_raw_features,
            point_features=features,
            max_voxel_size=config.max_voxels,
            point_cloud_range=list(config.point_cloud_range),
            voxel_size=list(config.voxel_size),
            downsample_factor=config.out_size_factor,
            encoder_in_feature_size=config.num_encoder_features,
            has_variance=config.has_variance,
            has_twist=config.has_twist,
            yaw_norm_thresholds=[options.yaw_norm_threshold(name) for name in config.class_names],
            detection_score_thresholds=_ScoreThresholds(
                distance_bin_upper_limits=list(bins), min_confidence_scores=scores
            ),
        ),
    ).model_dump(exclude_none=True)


def _config(
    package: _MlPackage, metadata: _DeployMetadata, rules: tuple[RemapRule, ...] | None, path: Path
) -> CenterPointConfig:
    params = package.model_params
    scores = params.detection_score_thresholds
    problems = []
    size = params.point_feature_size
    features = metadata.point_features or params.point_features or autoware_node.RAW_FEATURES.get(size)
    if features is None:
        problems.append(
            f"model_params.point_feature_size: {size} is not one of "
            f"{', '.join(map(str, autoware_node.RAW_FEATURES))}"
        )
    elif len(features) != size or tuple(params.point_features or features) != tuple(features):
        problems.append(
            f"model_params.point_feature_size: {size} does not fit point_features {', '.join(features)}"
        )
    offsets = params.encoder_in_feature_size - params.point_feature_size - 3
    if offsets not in (2, 3):
        problems.append(
            f"model_params.encoder_in_feature_size: {params.encoder_in_feature_size}, expected "
            f"{params.point_feature_size + 5} or {params.point_feature_size + 6}"
        )
    if len(params.yaw_norm_thresholds) != len(params.class_names):
        problems.append(
            f"model_params.yaw_norm_thresholds: {len(params.yaw_norm_thresholds)} values, "
            f"expected one a class ({len(params.class_names)})"
        )
    problems += [
        f"model_params.detection_score_thresholds.min_confidence_scores.{name}: missing"
        for name in params.class_names
        if name not in scores.min_confidence_scores
    ]
    if problems:
        raise ArtifactError(path, "is invalid", problems=problems)
    try:
        return CenterPointConfig.model_validate(
            {
                "class_names": params.class_names,
                "point_features": features,
                "intensity_scale": metadata.intensity_scale,
                "point_cloud_range": params.point_cloud_range,
                "voxel_size": params.voxel_size,
                "max_voxels": params.max_voxel_size,
                "max_points_per_voxel": metadata.max_points_per_voxel,
                "center_offset_dims": offsets,
                "pfn_channels": (metadata.pillar_features, metadata.pillar_features),
                "backbone_strides": (params.downsample_factor, 1, 1),
                "neck_strides": (1.0, 1.0, 1.0),
                "has_variance": params.has_variance,
                "has_twist": params.has_twist,
                "head_convention": metadata.head_convention,
                "voxel_encoder_onnx": package.encoder_onnx_path,
                "backbone_neck_head_onnx": package.head_onnx_path,
                "postprocess": {
                    **metadata.postprocess,
                    "distance_bin_upper_limits": scores.distance_bin_upper_limits,
                    "min_confidence_scores": {
                        name: scores.min_confidence_scores[name] for name in params.class_names
                    },
                    "yaw_norm_thresholds": dict(
                        zip(params.class_names, params.yaw_norm_thresholds, strict=True)
                    ),
                    "class_remapper": rules,
                },
            }
        )
    except ValidationError as error:
        raise ArtifactError(
            path, "is invalid", problems=problem_clauses(error, CenterPointConfig)
        ) from None


def _check_version(path: Path, version: object) -> None:
    match = _VERSION.fullmatch(str(version)) if version is not None else None
    if match is None or int(match[1]) != 4 or int(match[2]) < 1:
        raise ArtifactError(
            path,
            "unsupported bundle version",
            got="none" if version is None else repr(version),
            expected="v4.1 or later within version 4",
        )


ModelT = TypeVar("ModelT", bound=BaseModel)


def _validate(model: type[ModelT], content: object, path: Path) -> ModelT:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ArtifactError(path, "is invalid", problems=problem_clauses(error, model)) from None
