"""The precision study of the shipped model on simulated drives with ground truth."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from awml_deploy_core.cli.main import main
from awml_deploy_lab.simulation.record import main as record

pytest.importorskip("onnxruntime.quantization")
MODEL = Path(__file__).resolve().parents[4] / "models" / "centerpoint_demo" / "bundle"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    arguments = ["--infos", "val", "--seconds", "0.2", "--seed", "7", "--lidar", "hdl32"]
    assert record([str(folder), *arguments]) == 0
    return folder / "infos_val.pkl"


def test_fp16_and_int8_of_the_demo_model(drive: Path, tmp_path: Path) -> None:
    options = ["--samples", str(drive), "--num-calibration", "2", "--json", str(tmp_path / "a.json")]
    fast = ["--set", "precision.variants=[fp16, int8]", "--set", "precision.latency_frames=1"]
    few = ["--set", "evaluation.latency={num_samples: 1, warm_up_frames: 0}"]
    judged = ["--min-agreement", "0.0", "--max-loss", "1.0", "--choose", "int8"]
    written = tmp_path / "int8"
    command = ["precision", str(MODEL), *options, *fast, *few, *judged, "--write", str(written)]
    assert main([*command, "--set", "precision.num_sensitivity=1"]) == 0
    found = json.loads((tmp_path / "a.json").read_text())["precision"]
    fp32, fp16, int8 = found["variants"]
    assert fp16["size_bytes"] < 0.6 * fp32["size_bytes"]
    assert int8["size_bytes"] < 0.4 * fp32["size_bytes"]
    assert fp16["backends"][0]["agreement"]["share"] > 0.9
    assert all("mean_ap" in item["backends"][0]["accuracy"]["figures"] for item in (fp32, fp16, int8))
    assert {item["tensor"] for item in int8["tensors"]} > {"heatmap", "pillar_features"}
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT-RTX is not installed: pip install -r requirements/dev.txt")
    build = ["build", str(written), "--precision", "int8", "--library", "tensorrt_rtx"]
    assert main([*build, "--json", str(tmp_path / "b.json")]) == 0
    engines = json.loads((tmp_path / "b.json").read_text())["engines"]
    assert len(engines) == 2
