"""A precision study of the toy family, from the command line to a bundle that verifies."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.cli.main import main

pytest.importorskip("onnxruntime.quantization")
pytestmark = [
    pytest.mark.usefixtures("toy"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

FAST = [
    *("--set", "precision.latency_frames=3"),
    *("--set", "evaluation.latency={num_samples: 2, warm_up_frames: 1}"),
    *("--set", "precision.num_sensitivity=2"),
    *("--num-calibration", "2"),
]
STRICT = "verification.tolerances={int8: {boxes: {min_iou: 0.98}}}"
"""Matches no two boxes but almost equal ones."""
LOOSE = ["--min-agreement", "0.3"]
ANYWHERE = [
    "--set",
    "evaluation.backends=[pytorch:cpu, onnxruntime, {backend: tensorrt, device: cuda, required: false}]",
]


def study(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["precision"]
    return found


@pytest.fixture
def exported(deploy: Path) -> Path:
    assert main(["export", str(deploy)]) == 0
    return deploy


def test_a_study_and_what_it_writes(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forms = ["--html", str(tmp_path / "a.html"), "--junit", str(tmp_path / "a.xml")]
    written = tmp_path / "lowered"
    command = ["precision", str(exported), *FAST, *ANYWHERE, *forms]
    assert main([*command, *LOOSE, "--choose", "int8", "--write", str(written)]) == 0
    shown = capsys.readouterr().out
    for part in ("precisions on onnxruntime:cpu", "differences from FP32", "layer groups", "chosen: int8"):
        assert part in shown
    assert "no sample has ground truth" in shown
    found = study(tmp_path / "out" / "reports" / "precision.json")
    variants = {variant["name"]: variant for variant in found["variants"]}
    assert list(variants) == ["fp32", "fp16", "int8", "mixed"]
    assert variants["fp32"]["backends"][0]["agreement"]["share"] == 1
    assert variants["fp16"]["size_bytes"] != variants["fp32"]["size_bytes"]
    assert [part["backend"] for part in variants["int8"]["backends"]] == [
        "onnxruntime:cpu",
        "pytorch:cpu",
        "tensorrt:cuda:0",
    ]
    assert "trained module" in variants["int8"]["backends"][1]["missing"]
    assert variants["int8"]["backends"][0]["latency"]["frames"] == 3
    assert "nothing to mix" in variants["mixed"]["missing"]
    assert len(found["sensitivities"]) == 3
    assert found["notes"], "calibrated on what is measured"
    assert "Precision" in (tmp_path / "a.html").read_text()
    root = ET.parse(tmp_path / "a.xml").getroot()
    assert root.get("failures") == "0"
    assert int(root.get("skipped", "0")) >= 1

    bundle = ModelBundle.open(written)
    assert bundle.manifest is not None
    assert {item["precision"] for item in bundle.manifest.provenance.export.values()} == {"int8"}
    assert main(["selftest", str(written), "--backend", "onnxruntime:cpu", "--runs", "2"]) == 0
    assert main(["precision", str(written), "--samples", str(tmp_path / "clouds"), *FAST]) == 2
    assert "was lowered already" in capsys.readouterr().err

    # What is finished is not run again, so that limits can be tried.
    strict = [*command, "--set", STRICT, "--min-agreement", "1.0"]
    assert main([*strict, "--choose", "int8", "--write", str(tmp_path / "none")]) == 1
    assert not (tmp_path / "none").exists()
    assert "is below 1" in capsys.readouterr().out
    assert main(strict) == 0


def test_problems_and_a_budget(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["precision", str(exported), *FAST]
    assert main([*command, "--past-sweeps", "1"]) == 2
    assert main([*command, "--set", "precision.fp32_nodes=[nothing]"]) == 2
    assert main([*command, "--calibration", str(tmp_path / "nowhere")]) == 2
    assert main([*command, "--backend", "pytorch:cpu"]) == 2
    capsys.readouterr()
    own = ["--choose", "fp32", "--write", str(tmp_path / "out" / "bundle")]
    assert main([*command, *own]) == 2
    assert "would replace the bundle that was studied" in capsys.readouterr().err
    assert main([*command, "--budget", "1e-9"]) == 0
    shown = capsys.readouterr().out
    assert "the budget of 1e-09 s was spent" in shown
    assert "chosen: fp32" in shown


def test_a_mix_keeps_what_the_limits_need(exported: Path, tmp_path: Path) -> None:
    """The limit lies between what all groups in INT8 reach, and the least sensitive one alone."""
    command = ["precision", str(exported), *FAST, "--set", "precision.group_depth=0", "--set", STRICT]
    assert main([*command, "--json", str(tmp_path / "a.json"), "--min-agreement", "0.0"]) == 0
    found = study(tmp_path / "a.json")
    best = max(item["agreement"] for item in found["sensitivities"])
    whole = {item["name"]: item for item in found["variants"]}["int8"]["backends"][0]["agreement"]["share"]
    assert whole < best
    limit = str((whole + best) / 2)
    command = [*command, "--json", str(tmp_path / "b.json"), "--write", str(tmp_path / "lowered")]
    assert main([*command, "--min-agreement", limit, "--choose", "mixed"]) == 0
    found = study(tmp_path / "b.json")
    mixed = {item["name"]: item for item in found["variants"]}["mixed"]
    assert 0 < len(mixed["fp32_groups"]) < mixed["num_groups"]
    assert mixed["keeps_limits"]
    assert mixed["fp32_groups"][0] == "{component}: {group}".format(**found["sensitivities"][0])
    manifest = ModelBundle.open(tmp_path / "lowered").manifest
    assert manifest is not None
    assert "int8" in {item["precision"] for item in manifest.provenance.export.values()}
