"""The parameters of the nodes that take images, and the files that set them."""

from typing import Any

import pytest
import yaml
from harness_paths import REPOSITORY

from awml_deploy_core.errors import ParameterError
from awml_deploy_ros.budget import read_budget
from awml_deploy_ros.image_parameters import (
    CALIBRATION_STATUS,
    YOLOX,
    CalibrationSettings,
    yolox_settings,
)
from awml_deploy_ros.parameter_spec import check_value

TABLES = {"yolox": YOLOX, "calibration_status": CALIBRATION_STATUS}
OPTIONS = {"decoder": "mmdet", "score_threshold": 0.01, "nms_threshold": 0.65, "max_detections": 300}


def defaults(table: Any, **changes: Any) -> dict[str, Any]:
    values = {spec.name: spec.default for spec in table.at_start} | {"model_path": "bundle"}
    return values | {name.replace("__", "."): value for name, value in changes.items()}


def flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


@pytest.mark.parametrize("name", TABLES)
def test_the_parameter_file_sets_what_there_is(name: str) -> None:
    file = REPOSITORY / "config" / name / "node.param.yaml"
    values = flat(yaml.safe_load(file.read_text())["/**"]["ros__parameters"])
    specs = {spec.name: spec for spec in TABLES[name].specs}
    assert len(specs) == len(TABLES[name].specs)
    assert set(values) <= set(specs)
    assert [problem for key, value in values.items() if (problem := check_value(specs[key], value))] == []
    different = {key for key, value in values.items() if value != specs[key].default}
    limits = {f"diagnostics.{limit}" for limit in LATE} if name == "calibration_status" else set()
    assert different == {"latency_budget_file", *limits}
    assert read_budget(file.with_name("latency_budget.yaml")).stages


LATE = ("max_allowed_processing_time_ms", "max_acceptable_consecutive_delay_ms")


@pytest.mark.parametrize("name", TABLES)
def test_there_is_no_shadow_whose_reference_could_not_judge(name: str) -> None:
    assert not [spec.name for spec in TABLES[name].specs if spec.name.startswith("shadow.")]
    read = {"yolox": yolox_settings, "calibration_status": CalibrationSettings.from_values}[name]
    assert read(defaults(TABLES[name])).shadow.every_n == 0


def test_yolox_has_the_options_of_its_model() -> None:
    specs = {spec.name: spec.default for spec in YOLOX.model_specs(OPTIONS)}
    assert specs == {f"post_process_params.{name}": value for name, value in OPTIONS.items()}
    assert YOLOX.pipeline_options({**defaults(YOLOX), **specs}) == OPTIONS


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ParameterError) as caught:
        yolox_settings(defaults(YOLOX, model_path="", outputs=["markers"], warm_up_frames=0))
    assert len(caught.value.problems) == 3
    with pytest.raises(ParameterError) as caught:
        CalibrationSettings.from_values(
            defaults(
                CALIBRATION_STATUS,
                field_mapping__x="",
                field_mapping__intensity="",
                calibration__min_probability=2.0,
            )
        )
    assert len(caught.value.problems) == 3
