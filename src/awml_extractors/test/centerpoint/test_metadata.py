"""Files that contradict the configuration are refused when the bundle is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from awml_extractors.centerpoint.metadata import metadata_problems, onnx_metadata
from awml_extractors.centerpoint.variants import parse_config

CONFIG = parse_config({"variant": "demo"})
COMPONENT = "pts_backbone_neck_head"


def test_its_own_metadata_contradicts_nothing() -> None:
    assert metadata_problems(CONFIG, COMPONENT, onnx_metadata(CONFIG, COMPONENT)) == []
    assert metadata_problems(CONFIG, COMPONENT, {"producer": "somebody else"}) == []


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"head_convention": {"dim_order": "lwh", "rot_encoding": "neg_cos_neg_sin"}}, "head_dim_order"),
        ({"head_convention": {"dim_order": "wlh", "rot_encoding": "sin_cos"}}, "head_rot_encoding"),
        ({"class_names": ["CAR", "BUS", "TRUCK", "BICYCLE", "PEDESTRIAN"]}, "class_names"),
        ({"point_cloud_range": [-41.2, -51.2, -3.0, 61.2, 51.2, 5.0]}, "point_cloud_range"),
        ({"intensity_scale": 0.5}, "intensity_scale"),
    ],
)
def test_every_contradiction_is_named(changes: dict[str, Any], key: str) -> None:
    other = parse_config({"variant": "demo", **changes})
    (problem,) = metadata_problems(CONFIG, COMPONENT, onnx_metadata(other, COMPONENT))
    assert problem.startswith(f"{key} is ")


def test_a_file_of_the_other_component_is_named(tmp_path: Path) -> None:
    (problem,) = metadata_problems(CONFIG, COMPONENT, onnx_metadata(CONFIG, "pts_voxel_encoder"))
    assert "component is 'pts_voxel_encoder'" in problem
