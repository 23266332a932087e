from __future__ import annotations

import subprocess
import sys

import pytest

from awml_deploy_core.components import DynamicAxis
from awml_deploy_core.errors import ConfigError
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.specs import component_specs
from awml_extractors.centerpoint.variants import VARIANTS, parse_config


@pytest.mark.parametrize(
    ("variant", "grid", "out_size_factor", "max_voxels", "channels"),
    [
        ("autoware_base", 480, 1, 40000, 9),
        ("autoware_tiny", 480, 2, 40000, 9),
        ("awml_1_6", 760, 1, 64000, 9),
        ("awml_1_7", 760, 1, 64000, 10),
        ("awml_2_3", 760, 1, 64000, 10),
        ("awml_2_5", 1020, 2, 96000, 10),
        ("awml_2_6", 1020, 2, 96000, 10),
        ("awml_j6gen2", 1020, 2, 96000, 11),
        ("awml_short_range", 640, 4, 64000, 10),
        ("demo", 320, 2, 20000, 9),
    ],
)
def test_geometry(variant: str, grid: int, out_size_factor: int, max_voxels: int, channels: int) -> None:
    config = parse_config({"variant": variant})
    assert config.grid_size == (grid, grid)
    assert config.output_size == (grid // out_size_factor,) * 2
    assert config.out_size_factor == out_size_factor
    assert config.max_voxels == max_voxels
    assert config.num_encoder_features == channels


def test_unknown_variant_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"variant": "nope"})
    assert "'nope'" in str(caught.value)
    assert all(name in str(caught.value) for name in VARIANTS)


def test_unknown_variant_does_not_hide_what_is_wrong_with_other_keys() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"variant": "dem", "max_voxels": -1, "voxel_sise": 1, "voxel_size": [0.3, 0.3, 8.0]})
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "variant",
        "max_voxels",
        "voxel_sise",
    ]
    assert "did you mean demo?" in caught.value.problems[0]


def test_variant_of_another_type_is_an_unknown_one() -> None:
    with pytest.raises(ConfigError, match="unknown variant"):
        parse_config({"variant": ["demo"]})


def test_changes_apply_to_the_variant() -> None:
    config = parse_config({"variant": "awml_2_5", "class_names": ["CAR"], "max_voxels": 5})
    assert config.class_names == ("CAR",)
    assert config.max_voxels == 5
    assert config.voxel_size == (0.24, 0.24, 8.0)


def test_changes_are_validated_together_with_the_variant() -> None:
    with pytest.raises(ConfigError, match="not a multiple of voxel size") as caught:
        parse_config({"variant": "demo", "voxel_size": [0.3, 0.32, 8.0]})
    assert len(caught.value.problems) == 1


def test_all_problems_are_listed() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"max_voxels": 0, "head_kernel": 5, "colour": "red", "neck_strides": [1, 2]})
    problems = caught.value.problems
    assert len(problems) == 4
    for key in ("max_voxels", "head_kernel", "colour", "neck_strides"):
        assert sum(problem.startswith(key) for problem in problems) == 1


def test_a_faulty_key_does_not_hide_that_others_do_not_fit_together() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"variant": "demo", "head_kernel": 5, "voxel_size": [0.3, 0.32, 8.0]})
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "head_kernel",
        "point_cloud_range",
    ]


def test_what_has_to_fit_a_faulty_key_is_not_judged() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"variant": "demo", "point_cloud_range": [0, 1], "voxel_size": [0.3, 0.3, 8.0]})
    assert {problem.split(".")[0].split(":")[0] for problem in caught.value.problems} == {
        "point_cloud_range"
    }


def test_an_unknown_key_says_what_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"max_voxel": 1, "postprocess": {"iou_nms_treshold": 0.5}})
    assert sorted(caught.value.problems) == [
        "max_voxel: unknown key (did you mean max_voxels?)",
        "postprocess.iou_nms_treshold: unknown key (did you mean iou_nms_threshold?)",
    ]


def test_geometry_problems_are_listed_one_by_one() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"class_names": [], "point_features": ["z", "y", "x"], "voxel_size": [0.31, 0.32, 10]})
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    "name",
    [
        "../../escaped.onnx",
        "/tmp/a.onnx",
        "sub/../a.onnx",
        ".onnx",
        ".hidden.onnx",
        "manifest.json",
        "ml_package.param.yaml",
        "a.onnx\n",
        "a b.onnx",
        "pts_voxel_encoder.onnx",
        "PTS_voxel_encoder.onnx",
    ],
)
def test_file_names_stay_in_the_bundle_and_differ(name: str) -> None:
    with pytest.raises(ConfigError, match="backbone_neck_head_onnx"):
        parse_config({"backbone_neck_head_onnx": name})
    assert parse_config({"backbone_neck_head_onnx": "head-2.fp16.onnx"})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"pfn_channels": [33, 32]}, "pfn_channels"),
        ({"pfn_channels": [1, 32]}, "pfn_channels"),
        ({"class_names": ["CAR", "car"]}, "class_names"),
        ({"postprocess": {"yaw_norm_thresholds": {"CRA": 0.9}}}, "postprocess.yaw_norm_thresholds.CRA"),
        ({"postprocess": {"min_confidence_scores": {"CRA": [0.9] * 4}}}, "postprocess.min_confidence"),
        ({"postprocess": {"circle_nms_dist_threshold": float("inf")}}, "postprocess.circle_nms"),
        (
            {"point_cloud_range": [-8192, -8192, -4, 8192, 8192, 6], "voxel_size": [0.25, 0.25, 10]},
            "voxel_size",
        ),
        ({"pfn_channels": [32, 8192]}, "pfn_channels: the canvas would take 7 GiB"),
        ({"max_voxels": 2**40, "max_points_per_voxel": 640}, "max_voxels: the encoder's input"),
        ({"max_points_per_voxel": 10**400}, "max_points_per_voxel"),
        ({"backbone_strides": [1, 10**400, 2]}, "backbone_strides"),
    ],
)
def test_values_that_would_fail_later_are_refused(changes: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changes)
    assert [problem for problem in caught.value.problems if problem.startswith(key)]
    assert len(caught.value.problems) == 1


def test_more_voxels_than_cells_need_no_more_memory() -> None:
    config = parse_config({"variant": "demo", "max_voxels": 2**40})
    assert config.voxel_capacity == 320 * 320
    axis = component_specs(config)[0].inputs[0].shape[0]
    assert isinstance(axis, DynamicAxis)
    assert axis.max == 320 * 320


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_awml_s_variants_have_awml_s_radius(variant: str) -> None:
    changed = parse_config({"variant": variant, "postprocess": {"default_score_threshold": 0.2}})
    for options in (parse_config({"variant": variant}).postprocess, changed.postprocess):
        assert options.mmdet3d_min_radius == (1.0 if variant.startswith("awml") else 0.5)
    assert changed.postprocess.default_score_threshold == 0.2


def test_no_variant_means_the_configuration_s_own_defaults() -> None:
    assert parse_config({}) == CenterPointConfig()


def test_running_a_bundle_does_not_import_torch() -> None:
    modules = "family, bundle_files, variants"
    code = f"import sys; from awml_extractors.centerpoint import {modules}; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("point_cloud_range", [-1e308, -1e308, -4, 1e308, 1e308, 4]),
        ("neck_strides", [1e-320, 2, 4]),
        ("intensity_scale", 1e308),
        ("max_voxels", 10**20),
        ("backbone_strides", [10**20, 2, 2]),
        ("backbone_layers", [1, 10**8, 1]),
        ("head_channels", 10**8),
        ("pfn_channels", [10**12, 16]),
    ],
)
def test_values_far_beyond_any_model_are_problems_of_their_key(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({key: value})
    assert caught.value.problems
    assert all(problem.startswith(key) for problem in caught.value.problems)
