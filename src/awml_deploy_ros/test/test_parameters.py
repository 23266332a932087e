"""The parameter table and what is made of it."""

import math

import pytest
import yaml
from harness_paths import REPOSITORY

from awml_deploy_core.errors import ParameterError
from awml_deploy_ros.parameter_spec import check_value
from awml_deploy_ros.parameters import (
    AT_START,
    BY_NAME,
    CLASS_SCORES_PREFIX,
    TABLE,
    model_specs,
    pipeline_options,
)
from awml_deploy_ros.settings import NodeSettings

PYTHON_TYPES = {"bool": bool, "int": int, "double": float, "string": str}


def defaults(**changes: object) -> dict[str, object]:
    values = {spec.name: spec.default for spec in AT_START}
    return {**values, "model_path": "bundle", **{k.replace("__", "."): v for k, v in changes.items()}}


@pytest.mark.parametrize("spec", TABLE, ids=lambda spec: spec.name)
def test_every_parameter_is_described_and_its_default_is_valid(spec) -> None:
    assert spec.description.endswith(".")
    if spec.default is None:
        return
    items = spec.default if spec.type.endswith("[]") else [spec.default]
    assert all(type(item) is PYTHON_TYPES[spec.type.removesuffix("[]")] for item in items)
    assert check_value(spec, spec.default) is None


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(TABLE)


def test_only_thresholds_change_at_run_time() -> None:
    changeable = {spec.name.split(".")[0] for spec in TABLE if not spec.read_only}
    assert changeable == {"post_process_params", "detection_score_thresholds", "diagnostics"}
    assert all(not spec.read_only for spec in TABLE if spec.option)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("post_process_params.iou_nms_threshold", 1.5, "outside [0, 1]"),
        ("post_process_params.iou_nms_threshold", math.nan, "outside [0, 1]"),
        ("detection_score_thresholds.distance_bin_upper_limits", [50.0, math.inf], "inf is outside"),
        ("outputs", ["frame", "boxes"], "unknown 'boxes'"),
        ("post_process_params.decoder", "other", "unknown 'other'"),
    ],
)
def test_values_that_a_descriptor_cannot_refuse(name, value, problem) -> None:
    assert problem in check_value(BY_NAME[name], value)


def test_options_are_those_of_the_parameters_that_set_one() -> None:
    options = pipeline_options(
        {
            "model_path": "bundle",
            "post_process_params.iou_nms_threshold": 0.2,
            f"{CLASS_SCORES_PREFIX}.CAR": [0.1, 0.2],
            "detection_score_thresholds.distance_bin_upper_limits": [50.0, 90.0],
        }
    )
    assert options == {
        "iou_nms_threshold": 0.2,
        "min_confidence_scores": {"CAR": [0.1, 0.2]},
        "distance_bin_upper_limits": [50.0, 90.0],
    }


def test_the_model_gives_the_defaults_of_its_own_parameters() -> None:
    specs = model_specs(
        {
            "decoder": "mmdet3d",
            "distance_bin_upper_limits": (50.0, 90.0),
            "min_confidence_scores": {"CAR": (0.1, 0.2)},
            "iou_nms_threshold": 0.7,
            "something_else": 3,
        }
    )
    assert {spec.name: spec.default for spec in specs} == {
        "post_process_params.decoder": "mmdet3d",
        "post_process_params.iou_nms_threshold": 0.7,
        "detection_score_thresholds.distance_bin_upper_limits": [50.0, 90.0],
        f"{CLASS_SCORES_PREFIX}.CAR": [0.1, 0.2],
    }
    assert not any(spec.read_only for spec in specs)


def test_settings_list_every_problem() -> None:
    with pytest.raises(ParameterError) as error:
        NodeSettings.from_values(
            defaults(model_path="", outputs=["boxes"], field_mapping__x="", warm_up_frames=0)
        )
    assert len(error.value.problems) == 4


def test_settings_without_intensity() -> None:
    settings = NodeSettings.from_values(defaults(field_mapping__intensity=""))
    assert settings.field_mapping == {"x": "x", "y": "y", "z": "z"}


def test_the_parameter_file_sets_known_parameters_to_valid_values() -> None:
    document = yaml.safe_load((REPOSITORY / "config/centerpoint/node.param.yaml").read_text())
    values = _flat(document["/**"]["ros__parameters"])
    assert set(values) <= set(BY_NAME)
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        assert all(type(item) is PYTHON_TYPES[BY_NAME[name].type.removesuffix("[]")] for item in items), (
            name
        )
        assert check_value(BY_NAME[name], value) is None


def test_the_parameter_file_quotes_what_yaml_reads_as_a_boolean() -> None:
    """rcl reads an unquoted y or n as a boolean; PyYAML does not, so look at the text."""
    text = (REPOSITORY / "config/centerpoint/node.param.yaml").read_text()
    bare = [line for line in text.splitlines() if line.split("#")[0].strip().endswith((": y", ": n"))]
    assert bare == []


def _flat(tree: dict, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in tree.items():
        found.update(
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        )
    return found


def test_densification_is_named_as_autoware_names_it() -> None:
    settings = NodeSettings.from_values(defaults()).densification
    assert (settings.num_past_frames, settings.world_frame_id) == (1, "map")
    values = defaults(
        densification_params__on_missing_tf="drop", densification_params__world_frame_id="/odom"
    )
    settings = NodeSettings.from_values(values).densification
    assert (settings.drop_without_tf, settings.world_frame_id) == (True, "odom")


def test_densification_needs_a_world_frame() -> None:
    with pytest.raises(ParameterError, match="world_frame_id: is empty"):
        NodeSettings.from_values(defaults(densification_params__world_frame_id=""))
