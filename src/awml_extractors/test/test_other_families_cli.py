"""The commands serve families of images as they serve those of clouds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import classifier_weights
import pytest
import torch
import yaml
import yolox_weights
from lidar_camera_files import write_image, write_kitti

from awml_deploy_core.cli.main import main
from awml_deploy_core.exit_codes import ExitCode


def run(command: str, target: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    report = target.parent / f"{command}.json"
    code = main([command, str(target), *arguments, "--json", str(report)])
    return code, json.loads(report.read_text())


def deploy(folder: Path, model: dict[str, Any], samples: Path) -> Path:
    content = {
        "name": "other",
        "model": model,
        "checkpoint_path": "c.pth",
        "work_dir": "out",
        "export": {"onnx": {"opset_version": 16}},
        "verification": {
            "samples": [str(samples)],
            "num_samples": 2,
        },
        "infer": {"source": str(samples)},
    }
    path = folder / "deploy.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def check_all_commands(path: Path, tmp_path: Path) -> dict[str, Any]:
    code, report = run("run", path)
    assert code == ExitCode.PASSED, report
    assert report["verification"]["status"] == "passed"
    code, report = run("inspect", tmp_path / "out" / "bundle")
    assert code == ExitCode.PASSED
    code, _ = run("infer", path, "--picture", str(tmp_path / "pictures"))
    assert code == ExitCode.BAD_INPUT
    code, report = run("infer", path)
    assert code == ExitCode.PASSED
    frames: list[dict[str, Any]] = report["inference"]["frames"]
    assert len(frames) == 2
    return frames[0]


def test_calibration_status(tmp_path: Path) -> None:
    torch.save(classifier_weights.state_dict(), tmp_path / "c.pth")
    model = {"family": "calibration_status", **classifier_weights.SMALL}
    frame = check_all_commands(deploy(tmp_path, model, write_kitti(tmp_path / "kitti")), tmp_path)
    (record,) = frame["detections"]
    assert set(record["probabilities"]) == {"miscalibrated", "calibrated"}
    assert frame["counts"]["points_projected"] > 0


def test_yolox(tmp_path: Path) -> None:
    for index in range(2):
        write_image(tmp_path / "images" / f"{index}.png", 320, 240, seed=index)
    torch.save(yolox_weights.make_model(yolox_weights.SMALL).state_dict(), tmp_path / "c.pth")
    model = {"family": "yolox", **yolox_weights.SMALL, "options": {"score_threshold": 0.3}}
    frame = check_all_commands(deploy(tmp_path, model, tmp_path / "images"), tmp_path)
    assert frame["detections"]
    assert set(frame["detections"][0]) == {"class", "score", "box"}


def test_awmls_file_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "images" / "0.png", 320, 240)
    torch.save(yolox_weights.make_model(yolox_weights.SMALL).state_dict(), tmp_path / "c.pth")
    (tmp_path / "annotations.json").write_text(
        '{"images": [{"id": 1, "file_name": "0.png"}], "categories": [{"id": 1, "name": "car"}]}'
    )
    (tmp_path / "deploy_config.py").write_text(
        "task_type = 'detection2d'\ncheckpoint_path = 'c.pth'\n"
        "export = dict(mode='onnx', work_dir='out')\n"
        "model_io = dict(input_name='images', input_shape=(3, 320, 320), output_name='output')\n"
        "onnx_config = dict(opset_version=16, save_file='small.onnx')\n"
        "runtime_io = dict(ann_file='annotations.json', img_prefix='images')\n"
        "verification = dict(enabled=True, tolerance=0.1, num_verify_samples=1, scenarios=dict(\n"
        "    onnx=[dict(ref_backend='pytorch', test_backend='onnx')]))\n"
    )
    (tmp_path / "model.py").write_text(
        "model = dict(type='YOLOX', backbone=dict(deepen_factor=0.5, widen_factor=0.25),\n"
        "    neck=dict(num_elan_blocks=1))\n"
    )
    arguments = ("--model-config", "model.py")
    code, report = run("run", tmp_path / "deploy_config.py", *arguments)
    assert code == ExitCode.PASSED, report
    assert (tmp_path / "out" / "bundle" / "small.onnx").is_file()
    assert report["verification"]["status"] == "passed"
    code, _ = run("run", tmp_path / "out" / "bundle", "--model-config", "model.py")
    assert code == ExitCode.BAD_INPUT
