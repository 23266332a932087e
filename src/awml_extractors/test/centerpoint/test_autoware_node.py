"""Models that Autoware's own node cannot run as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from awml_extractors.centerpoint.bundle_files import write_bundle_files
from awml_extractors.centerpoint.variants import VARIANTS, parse_config


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"demo"}))
def test_models_for_autoware_s_node_are_written_silently(
    tmp_path: Path, variant: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_bundle_files(parse_config({"variant": variant}), tmp_path)
    assert not caplog.records


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_points_per_voxel": 20}, "max_points_per_voxel is 20"),
        ({"pfn_channels": [32, 64]}, "64 features"),
        ({"variant": "awml_j6gen2", "intensity_scale": 0.5}, "intensity_scale is 0.5"),
        ({"head_convention": {"dim_order": "lwh", "rot_encoding": "sin_cos"}}, "lwh, sin_cos"),
        ({"point_features": ["x", "y", "z"]}, "does not fill point_features x, y, z "),
        ({"point_features": ["x", "y", "z", "intensity"]}, "does not fill point_features"),
        ({"variant": "awml_j6gen2", "center_offset_dims": 2}, "centre of 2 dimensions"),
        ({"class_names": ["car", "TRUCK", "cone"]}, "class_names car are"),
        ({"postprocess": {"decoder": "mmdet3d"}}, "decoder is mmdet3d"),
        (
            {"point_cloud_range": [-49.6, -49.6, -4, 49.6, 49.6, 6], "voxel_size": [0.1, 0.1, 10]},
            "its rounding makes the grid (991, 991), not (992, 992)",
        ),
    ],
)
def test_one_warning_says_why_autoware_s_node_cannot_run_a_model(
    tmp_path: Path, changes: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_bundle_files(parse_config(changes), tmp_path)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert reason in record.getMessage()


def test_all_reasons_are_in_the_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_bundle_files(parse_config({"max_points_per_voxel": 20, "pfn_channels": [32, 64]}), tmp_path)
    (record,) = caplog.records
    assert "max_points_per_voxel" in record.getMessage()
    assert "64 features" in record.getMessage()
