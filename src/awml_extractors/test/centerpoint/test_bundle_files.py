from __future__ import annotations

from pathlib import Path

import pytest
from bundle_editing import Parameters, change, parameters

from awml_deploy_core.errors import ArtifactError
from awml_extractors.centerpoint.bundle_files import (
    DEPLOY_METADATA,
    ML_PACKAGE,
    read_bundle,
    write_bundle_files,
)
from awml_extractors.centerpoint.class_remapper import FILE_NAME as CLASS_REMAPPER
from awml_extractors.centerpoint.config import AUTOWARE_CONVENTION, MMDET3D_CONVENTION, CenterPointConfig
from awml_extractors.centerpoint.specs import component_specs
from awml_extractors.centerpoint.variants import VARIANTS, parse_config


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle_files(CenterPointConfig(), tmp_path)
    return tmp_path


def refused(folder: Path) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        read_bundle(folder)
    return caught.value


def test_ml_package_is_autoware_s(bundle: Path) -> None:
    assert parameters(bundle / ML_PACKAGE) == {
        "version": "v4.1",
        "encoder_onnx_path": "pts_voxel_encoder.onnx",
        "encoder_engine_path": "pts_voxel_encoder.engine",
        "head_onnx_path": "pts_backbone_neck_head.onnx",
        "head_engine_path": "pts_backbone_neck_head.engine",
        "class_remapper_param_path": "detection_class_remapper.param.yaml",
        "trt_precision": "fp16",
        "model_params": {
            "class_names": ["CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN"],
            "point_feature_size": 4,
            "max_voxel_size": 40000,
            "point_cloud_range": [-76.8, -76.8, -4.0, 76.8, 76.8, 6.0],
            "voxel_size": [0.32, 0.32, 10.0],
            "downsample_factor": 1,
            "encoder_in_feature_size": 9,
            "has_variance": False,
            "has_twist": True,
            "yaw_norm_thresholds": [0.3, 0.3, 0.3, 0.3, 0.0],
            "detection_score_thresholds": {
                "distance_bin_upper_limits": [50.0, 90.0, 121.0, 200.0],
                "min_confidence_scores": {
                    name: [0.35] * 4 for name in ("CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN")
                },
            },
        },
    }


def test_ros_sees_numbers_of_one_type_in_every_list(bundle: Path) -> None:
    lists = [
        value
        for path in (bundle / ML_PACKAGE, bundle / CLASS_REMAPPER)
        for parameter in (parameters(path), parameters(path).get("model_params", {}))
        for value in parameter.values()
        if isinstance(value, list)
    ]
    assert lists
    assert all(len({type(item) for item in value}) == 1 for value in lists)


@pytest.mark.parametrize("variant", sorted(VARIANTS))
@pytest.mark.parametrize("has_variance", [False, True])
def test_what_running_needs_survives(tmp_path: Path, variant: str, has_variance: bool) -> None:
    config = parse_config(
        {
            "variant": variant,
            "has_variance": has_variance,
            "intensity_scale": 0.5,
            "postprocess": {
                "distance_bin_upper_limits": [30.0, 100.0],
                "min_confidence_scores": {"CAR": [0.4, 0.6]},
                "default_score_threshold": 0.25,
                "yaw_norm_thresholds": {"BUS": 0.1},
            },
        }
    )
    write_bundle_files(config, tmp_path)
    read = read_bundle(tmp_path)
    assert read is not None
    assert component_specs(read) == component_specs(config)
    for key in (
        "class_names",
        "point_features",
        "intensity_scale",
        "point_cloud_range",
        "voxel_size",
        "center_offset_dims",
        "out_size_factor",
        "has_variance",
        "has_twist",
        "head_convention",
    ):
        assert getattr(read, key) == getattr(config, key), key
    # Of a decoder that Autoware's node does not have.
    assert read.postprocess.mmdet3d_min_radius == config.postprocess.mmdet3d_min_radius
    assert read.postprocess.distance_bin_upper_limits == (30.0, 100.0)
    assert read.postprocess.min_confidence_scores["CAR"] == (0.4, 0.6)
    assert read.postprocess.min_confidence_scores["TRUCK"] == (0.25, 0.25)
    assert read.postprocess.yaw_norm_thresholds["BUS"] == 0.1
    assert read.postprocess.yaw_norm_thresholds["CAR"] == 0.0


def test_convention_is_recorded(tmp_path: Path) -> None:
    write_bundle_files(CenterPointConfig(head_convention=MMDET3D_CONVENTION), tmp_path)
    read = read_bundle(tmp_path)
    assert read is not None
    assert read.head_convention == MMDET3D_CONVENTION


@pytest.mark.parametrize("metadata", [None, "num_checkpoint: 9\n", "", "just text\n"])
def test_foreign_bundle_has_autoware_s_conventions(bundle: Path, metadata: str | None) -> None:
    (bundle / DEPLOY_METADATA).unlink()
    if metadata is not None:
        (bundle / DEPLOY_METADATA).write_text(metadata)
    (bundle / CLASS_REMAPPER).unlink()
    read = read_bundle(bundle)
    assert read is not None
    assert read.head_convention == AUTOWARE_CONVENTION
    assert component_specs(read) == component_specs(CenterPointConfig())


def test_file_names_of_a_foreign_bundle_are_used(bundle: Path) -> None:
    change(bundle, lambda p: p.update(encoder_onnx_path="a.onnx", head_onnx_path="sub/b.onnx"))
    read = read_bundle(bundle)
    assert read is not None
    assert [spec.onnx_file for spec in component_specs(read)] == ["a.onnx", "sub/b.onnx"]


def test_folder_without_ml_package_is_not_ours(tmp_path: Path) -> None:
    assert read_bundle(tmp_path) is None
    assert read_bundle(tmp_path / "missing") is None


@pytest.mark.parametrize("version", ["v4.1", "4.1", "V4.2", "v4.10"])
def test_supported_versions(bundle: Path, version: str) -> None:
    change(bundle, lambda p: p.update(version=version))
    assert read_bundle(bundle) is not None


@pytest.mark.parametrize("version", ["v4.0", "v3.1", "v5.1", "latest", "", "v4.1.2", None])
def test_unsupported_versions(bundle: Path, version: str | None) -> None:
    change(bundle, lambda p: p.update(version=version))
    error = refused(bundle)
    assert error.problem == "unsupported bundle version"
    assert str(error.expected).startswith("v4.1")


def test_all_missing_keys_are_listed(bundle: Path) -> None:
    def remove(content: Parameters) -> None:
        del content["head_onnx_path"], content["model_params"]["voxel_size"]
        del content["model_params"]["detection_score_thresholds"]["min_confidence_scores"]

    change(bundle, remove)
    assert [problem.split(":")[0] for problem in refused(bundle).problems] == [
        "head_onnx_path",
        "model_params.voxel_size",
        "model_params.detection_score_thresholds.min_confidence_scores",
    ]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"max_voxel_size": "40000"}, "model_params.max_voxel_size"),
        ({"max_voxel_size": 0}, "model_params.max_voxel_size"),
        ({"voxel_size": [0.32, 0.32]}, "model_params.voxel_size"),
        ({"voxel_size": [0.31, 0.32, 10.0]}, "point_cloud_range"),
        ({"downsample_factor": 0}, "model_params.downsample_factor"),
        ({"downsample_factor": 7}, "grid"),
        ({"point_feature_size": 6}, "model_params.point_feature_size"),
        ({"encoder_in_feature_size": 12}, "model_params.encoder_in_feature_size"),
        ({"yaw_norm_thresholds": [0.3]}, "model_params.yaw_norm_thresholds"),
        ({"class_names": ["CAR", "CAR", "BUS", "BICYCLE", "PEDESTRIAN"]}, "class_names"),
        ({"class_names": ["CAR", "TRUCK", "BUS", "BICYCLE", "DOG"]}, "model_params.detection_score"),
    ],
)
def test_invalid_values_are_located(bundle: Path, changes: Parameters, place: str) -> None:
    change(bundle, lambda p: p["model_params"].update(changes))
    error = refused(bundle)
    assert error.subject == str(bundle / ML_PACKAGE)
    assert any(problem.startswith(place) for problem in error.problems), error.problems


@pytest.mark.parametrize(
    "name", ["/etc/model.onnx", "../model.onnx", "sub/../../model.onnx", "manifest.json", ""]
)
def test_paths_outside_the_bundle_are_refused(bundle: Path, name: str) -> None:
    change(bundle, lambda p: p.update(head_onnx_path=name))
    assert any(problem.startswith("head_onnx_path") for problem in refused(bundle).problems)


@pytest.mark.parametrize(
    "content",
    [
        *("a: [", "\x00", "- 1\n", "/**: 3\n", "", "/**: {ros__parameters: 1}\n"),
        *("a: 2026-13-01\n", "[" * 5000),
    ],
    ids=lambda text: text[:20],
)
def test_broken_yaml(bundle: Path, content: str) -> None:
    (bundle / ML_PACKAGE).write_text(content)
    assert refused(bundle).subject == str(bundle / ML_PACKAGE)


def test_text_that_is_not_utf_8(bundle: Path) -> None:
    (bundle / ML_PACKAGE).write_bytes(b"version: \xff\xfe")
    assert "cannot be read" in refused(bundle).problem


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("dim_order", "{head_convention: {dim_order: hwl}}"),
        ("intensity_scale", "{intensity_scale: .nan}"),
        ("max_points_per_voxel", "{max_points_per_voxel: 0}"),
        ("mmdet3d_min_radius", "{postprocess: {mmdet3d_min_radius: -1}}"),
    ],
)
def test_broken_deploy_metadata(bundle: Path, key: str, content: str) -> None:
    (bundle / DEPLOY_METADATA).write_text(f"centerpoint: {content}\n")
    error = refused(bundle)
    assert error.subject == str(bundle / DEPLOY_METADATA)
    assert any(key in problem for problem in error.problems)


def test_nothing_but_the_three_files_is_left(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == {ML_PACKAGE, CLASS_REMAPPER, DEPLOY_METADATA}


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be written"):
        write_bundle_files(CenterPointConfig(), tmp_path / "missing")


def test_thresholds_of_classes_in_small_letters_are_written(tmp_path: Path) -> None:
    names = ["car", "truck", "bus", "bicycle", "pedestrian"]
    scores = {"Truck": [0.1, 0.2, 0.3, 0.4]}
    write_bundle_files(
        parse_config({"class_names": names, "postprocess": {"min_confidence_scores": scores}}), tmp_path
    )
    params = parameters(tmp_path / ML_PACKAGE)["model_params"]
    assert params["yaw_norm_thresholds"] == [0.3, 0.3, 0.3, 0.3, 0.0]
    thresholds = params["detection_score_thresholds"]["min_confidence_scores"]
    assert thresholds["truck"] == [0.1, 0.2, 0.3, 0.4]
    assert thresholds["car"] == [0.35] * 4


def test_thresholds_of_classes_that_the_model_lacks_are_left_out(bundle: Path) -> None:
    def add(content: Parameters) -> None:
        scores = content["model_params"]["detection_score_thresholds"]["min_confidence_scores"]
        scores["TRAILER"] = [0.35] * 4

    change(bundle, add)
    read = read_bundle(bundle)
    assert read is not None
    assert set(read.postprocess.min_confidence_scores) == set(read.class_names)


@pytest.mark.parametrize(
    "features", [("x", "y", "z", "intensity"), ("x", "y", "z", "time_lag", "intensity")]
)
def test_channels_are_not_taken_for_others_without_the_metadata(
    tmp_path: Path, features: tuple[str, ...]
) -> None:
    write_bundle_files(parse_config({"point_features": features}), tmp_path)
    (tmp_path / DEPLOY_METADATA).unlink()
    read = read_bundle(tmp_path)
    assert read is not None
    assert read.point_features == features


def test_contradicting_channels_are_refused(tmp_path: Path) -> None:
    write_bundle_files(parse_config({"point_features": ("x", "y", "z", "intensity")}), tmp_path)
    change(tmp_path, lambda p: p["model_params"].update(point_features=["x", "y", "z", "time_lag"]))
    assert any("point_feature_size" in problem for problem in refused(tmp_path).problems)


def test_folders_of_the_components_are_made(tmp_path: Path) -> None:
    write_bundle_files(CenterPointConfig(backbone_neck_head_onnx="sub/b.onnx"), tmp_path)
    assert (tmp_path / "sub").is_dir()
