"""ONNX Runtime against PyTorch on real sweeps: every tensor and every box."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_weights import write_random_checkpoint

from awml_deploy_core.cli.main import main
from awml_extractors.centerpoint.variants import parse_config

# The geometry and network of Autoware's base model; the second reads intensity too.
MODELS = {
    "C = 9": {"variant": "autoware_base"},
    "C = 11": {
        "variant": "autoware_base",
        "point_features": ["x", "y", "z", "intensity", "time_lag"],
        "center_offset_dims": 3,
    },
}
SWEEPS = ("000008", "000024")
LIMIT = 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_both_backends_agree_on_real_sweeps(assets: Path, tmp_path: Path, name: str) -> None:
    """The weights are random, so the boxes mean nothing; that they are the same does."""
    model: dict[str, Any] = MODELS[name]
    config = parse_config(model)
    assert f"C = {config.num_encoder_features}" == name
    samples = [f"{assets}/kitti/velodyne/{sweep}.bin" for sweep in SWEEPS]
    points = np.fromfile(samples[0], np.float32).reshape(-1, 4) * np.float32([1, 1, 1, 255])
    write_random_checkpoint(config, tmp_path / "checkpoint.pth", points)
    deploy = {
        "name": "real_clouds",
        "model": {"family": "centerpoint", **model},
        "checkpoint_path": "checkpoint.pth",
        "work_dir": "work",
        "verification": {
            "samples": samples,
            "num_samples": -1,
            "tolerances": {"fp32": {"default": {"relative": LIMIT}}},
        },
    }
    path = tmp_path / "deploy.yaml"
    path.write_text(json.dumps(deploy))  # JSON is YAML.
    assert main(["run", str(path), "--json", str(tmp_path / "out.json")]) == 0
    (scenario,) = json.loads((tmp_path / "out.json").read_text())["verification"]["scenarios"]
    tensors = {record["tensor"]: record["relative"] for record in scenario["tensors"]}
    assert tensors.keys() == {
        *("input_features", "pillar_features"),
        *("heatmap", "reg", "height", "dim", "rot", "vel"),
    }
    assert max(tensors.values()) <= LIMIT
    assert scenario["boxes_matched"] > 10
    assert scenario["boxes_unmatched"] == 0
