"""Which outputs can be had."""

import pytest

from awml_deploy_core.errors import ParameterError
from awml_deploy_ros.image_parameters import CALIBRATION_STATUS, YOLOX
from awml_deploy_ros.outputs import OutputSet, missing_packages, registry
from awml_deploy_ros.parameters import OUTPUT_NAMES

IMAGE_OUTPUTS = {
    name
    for table in (YOLOX, CALIBRATION_STATUS)
    for spec in table.specs
    if spec.name == "outputs"
    for name in spec.choices
}


def test_every_name_that_the_parameter_allows_is_known() -> None:
    assert set(registry._MODULES) == {*OUTPUT_NAMES, *IMAGE_OUTPUTS}


def test_what_comes_with_this_suite_is_there() -> None:
    assert missing_packages(("frame", "markers", "debug")) == {}


def test_asking_for_a_missing_package_names_it(monkeypatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda package: None)
    with pytest.raises(ParameterError) as error:
        OutputSet(("detected_objects", "detection3d"), None)
    assert error.value.problems == (
        "detected_objects needs autoware_perception_msgs",
        "detection3d needs vision_msgs",
    )
