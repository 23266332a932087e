from __future__ import annotations

from pathlib import Path

import pytest
from bundle_editing import Parameters, change, parameters

from awml_deploy_core.errors import ArtifactError
from awml_extractors.centerpoint.bundle_files import read_bundle, write_bundle_files
from awml_extractors.centerpoint.class_remapper import FILE_NAME as CLASS_REMAPPER
from awml_extractors.centerpoint.class_remapper import LABELS
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.variants import parse_config


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle_files(CenterPointConfig(), tmp_path)
    return tmp_path


def test_class_remapper_has_autoware_s_rules(bundle: Path) -> None:
    content = parameters(bundle / CLASS_REMAPPER)
    allow, low, high = (
        content[f"{name}_matrix"] for name in ("allow_remapping_by_area", "min_area", "max_area")
    )
    rules = {
        (LABELS[i // 8], LABELS[i % 8]): (low[i], high[i]) for i, allowed in enumerate(allow) if allowed
    }
    assert rules[("CAR", "TRUCK")] == (12.1, 36.0)
    assert {pair for pair, (least, _) in rules.items() if least == 36.0} == {
        ("CAR", "TRAILER"),
        ("TRUCK", "TRAILER"),
        ("BUS", "TRAILER"),
    }
    assert len(rules) == 4


@pytest.mark.parametrize("value", ["yes", True, None, 10**400])
def test_broken_class_remapper(bundle: Path, value: object) -> None:
    def damage(content: Parameters) -> None:
        del content["min_area_matrix"]
        content["max_area_matrix"] = content["max_area_matrix"][:-1]
        content["allow_remapping_by_area_matrix"][3] = value

    change(bundle, damage, CLASS_REMAPPER)
    with pytest.raises(ArtifactError) as caught:
        read_bundle(bundle)
    assert caught.value.subject == str(bundle / CLASS_REMAPPER)
    assert len(caught.value.problems) == 3


def test_matrices_of_the_bundle_are_the_rules_of_the_model(bundle: Path) -> None:
    def change_rule(content: Parameters) -> None:
        index = LABELS.index("BICYCLE") * 8 + LABELS.index("MOTORCYCLE")
        content["allow_remapping_by_area_matrix"][index] = 1
        content["min_area_matrix"][index], content["max_area_matrix"][index] = 2.5, float("inf")

    change(bundle, change_rule, CLASS_REMAPPER)
    read = read_bundle(bundle)
    assert read is not None
    rules = read.postprocess.remap_rules
    assert len(rules) == 5
    assert [(rule.target, rule.min_area) for rule in rules if rule.source == "BICYCLE"] == [
        ("MOTORCYCLE", 2.5)
    ]
    (bundle / "again").mkdir()
    write_bundle_files(read, bundle / "again")
    again = read_bundle(bundle / "again")
    assert again is not None
    assert again.postprocess.class_remapper == rules


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 4),
        ({"postprocess": {"remap_classes": False}}, 0),
        ({"postprocess": {"class_remapper": []}}, 0),
        ({"postprocess": {"decoder": "mmdet3d"}}, 4),
        ({"class_names": ["CAR", "PEDESTRIAN"]}, 0),
    ],
)
def test_the_vehicle_remaps_what_the_configuration_remaps(
    tmp_path: Path, changes: Parameters, count: int
) -> None:
    write_bundle_files(parse_config(changes), tmp_path)
    assert sum(parameters(tmp_path / CLASS_REMAPPER)["allow_remapping_by_area_matrix"]) == count


def test_a_bundle_without_a_class_remapper_has_autoware_s_and_says_so(
    bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (bundle / CLASS_REMAPPER).unlink()
    read = read_bundle(bundle)
    assert read is not None
    assert len(read.postprocess.remap_rules) == 4
    assert read_bundle(bundle) is not None
    assert caplog.text.count(f"{CLASS_REMAPPER} is missing") == 1
