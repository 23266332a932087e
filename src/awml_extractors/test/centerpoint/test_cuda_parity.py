"""Every CUDA backend against its own CPU side; skipped visibly where there is no GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.cli.main import main
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runner.pipelines import open_pipeline
from awml_deploy_core.runtime.registry import load_backend

pytest.importorskip("torch")

from random_clouds import random_points
from random_weights import write_random_checkpoint

from awml_extractors.centerpoint.variants import parse_config

MODELS: dict[str, dict[str, Any]] = {
    "demo": {"variant": "demo"},
    "C = 9": {"variant": "autoware_base"},
    "C = 11": {
        "variant": "autoware_base",
        "point_features": ["x", "y", "z", "intensity", "time_lag"],
        "center_offset_dims": 3,
    },
}
SAMPLES = 4
RELATIVE = 1e-4
BOX_FIELDS = ("centers", "sizes", "yaws", "velocities", "scores", "labels")


@pytest.fixture(params=["onnxruntime", "pytorch"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    state = load_backend(name).availability(DeviceSpec("cuda", 0))
    if not state:
        pytest.skip(f"needs a GPU: {state.detail}")
    return name


@pytest.mark.parametrize("model", MODELS)
def test_cuda_agrees_with_the_cpu(backend: str, model: str, tmp_path: Path) -> None:
    config = parse_config(MODELS[model])
    checkpoint = tmp_path / "checkpoint.pth"
    write_random_checkpoint(config, checkpoint, random_points(60_000, 0))
    (tmp_path / "clouds").mkdir()
    for seed in range(SAMPLES):
        np.save(tmp_path / "clouds" / f"{seed}.npy", random_points(60_000, seed))
    deploy = {
        "name": "cuda_parity",
        "model": {"family": "centerpoint", **MODELS[model]},
        "checkpoint_path": str(checkpoint),
        "work_dir": "work",
        "verification": {
            "samples": ["clouds"],
            "num_samples": -1,
            "scenarios": [{"reference": f"{backend}:cpu", "test": f"{backend}:cuda"}],
            "tolerances": {"fp32": {"default": {"relative": RELATIVE}}},
        },
    }
    path = tmp_path / "deploy.yaml"
    path.write_text(json.dumps(deploy))  # JSON is YAML.
    assert main(["run", str(path), "--json", str(tmp_path / "out.json")]) == 0
    (scenario,) = json.loads((tmp_path / "out.json").read_text())["verification"]["scenarios"]
    assert max(record["relative"] for record in scenario["tensors"]) <= RELATIVE
    assert scenario["boxes_matched"] > 10
    assert scenario["boxes_unmatched"] == 0
    _assert_repeatable(tmp_path / "work" / "bundle", backend, checkpoint)


def _assert_repeatable(bundle: Path, backend: str, checkpoint: Path) -> None:
    columns = PointColumns.from_array(random_points(60_000, 0))
    with open_pipeline(bundle, backend, "cuda", checkpoint=checkpoint) as pipeline:
        first, second = (pipeline.infer(PointCloudFrame.single(columns)).output for _ in range(2))
    assert len(first) > 10
    for name in BOX_FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
