"""AWML's own files of CenterPoint and of the classifier go through ``awml-deploy run`` as they are.

Checkpoint and data lie where the files name them. What is set besides makes the model small, and leaves out
what needs a GPU.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import classifier_weights
import numpy as np
import pytest
from lidar_camera_files import calibration_infos
from random_clouds import random_points
from random_weights import write_random_checkpoint

from awml_deploy_core.awml_import import import_awml_config
from awml_deploy_core.cli.main import main
from awml_deploy_core.exit_codes import ExitCode
from awml_extractors.centerpoint.variants import parse_config

pytest.importorskip("onnx")

CONFIGS = Path(__file__).parent / "awml_configs"
CENTERPOINT = CONFIGS / "centerpoint_deploy_config.py"
CENTERPOINT_MODEL = CONFIGS / "centerpoint_model_config.py"
CALIBRATION = CONFIGS / "calibration_deploy_config.py"
RANGE = [-7.68, -7.68, -3.0, 7.68, 7.68, 5.0]


def run(file: Path, *arguments: str, **settings: Any) -> tuple[int, dict[str, Any]]:
    """Exit code and report of a run in the working directory."""
    overrides = [
        part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")
    ]
    code = main(["run", str(file), *arguments, *overrides, "--json", "report.json"])
    report: dict[str, Any] = json.loads(Path("report.json").read_text())
    return code, report


def write_data_set(folder: Path) -> None:
    """Two clouds of T4's layout, one car in each, and the info file that AWML's file names."""
    entries = []
    for index in range(2):
        points = np.zeros((4000, 5), "<f4")
        points[:, :4] = random_points(4000, index) * np.array([0.3, 0.3, 1.0, 1.0], np.float32)
        (folder / "lidar").mkdir(parents=True, exist_ok=True)
        (folder / "lidar" / f"{index}.pcd.bin").write_bytes(points.tobytes())
        car = {"bbox_3d": [4.0, 1.0, 0.8, 4.2, 1.9, 1.7, 0.1], "bbox_label_3d": 0, "num_lidar_pts": 40}
        entries.append(
            {
                "timestamp": 100.0 + 0.1 * index,
                "ego2global": np.eye(4).tolist(),
                "lidar_points": {"lidar_path": f"lidar/{index}.pcd.bin", "num_pts_feats": 5},
                "instances": [car],
            }
        )
    (folder / "info").mkdir()
    content = {"metainfo": {"categories": {"car": 0}}, "data_list": entries}
    (folder / "info" / "t4dataset_infos_test.pkl").write_bytes(pickle.dumps(content))


@pytest.mark.slow
def test_centerpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_data_set(tmp_path / "data" / "t4dataset")
    section = dict(import_awml_config(CENTERPOINT, CENTERPOINT_MODEL, follow_bases=True).content["model"])
    del section["family"]
    config = parse_config({**section, "point_cloud_range": RANGE})
    checkpoint = tmp_path / "work_dirs" / "centerpoint" / "best.pth"
    checkpoint.parent.mkdir(parents=True)
    points = random_points(4000, 99) * np.array([0.3, 0.3, 1.0, 1.0], np.float32)
    write_random_checkpoint(config, checkpoint, points)
    code, report = run(
        CENTERPOINT,
        *("--model-config", str(CENTERPOINT_MODEL), "--follow-base"),
        **{
            "model.point_cloud_range": RANGE,
            "export.mode": "onnx",
            "evaluation.backends": ["pytorch:cpu", "onnxruntime:cpu"],
            "evaluation.latency": {"min_frames": 2, "max_frames": 2, "warm_up_frames": 0},
        },
    )
    assert code == ExitCode.PASSED, report
    (scenario,) = report["verification"]["scenarios"]
    assert (scenario["name"], scenario["status"]) == ("pytorch:cpu vs onnxruntime:cpu", "passed")
    assert scenario["boxes_matched"] > 0
    for backend in report["evaluation"]["backends"]:
        assert (backend["status"], backend["frames"]) == ("passed", 2)
        assert "mAP" in backend["accuracy"]["headline"]
    # Where AWML's file wants it.
    assert (tmp_path / "work_dirs/centerpoint_deployment/onnx/pts_backbone_neck_head.onnx").is_file()
    assert report["provenance"]["family"] == "centerpoint"


def test_centerpoint_where_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is missing is told before anything runs."""
    monkeypatch.chdir(tmp_path)
    code, report = run(CENTERPOINT, "--model-config", str(CENTERPOINT_MODEL), "--follow-base")
    assert code == ExitCode.BAD_INPUT
    text = json.dumps(report["error"])
    for part in ("checkpoint_path", "t4dataset_infos_test.pkl"):
        assert part in text
    assert not (tmp_path / "work_dirs").exists()


@pytest.mark.slow
def test_calibration_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "info").mkdir()
    calibration_infos(tmp_path / "info" / "t4dataset_gen2_base_infos_test.pkl")
    checkpoint = tmp_path / "work_dirs" / "calibration_status" / "best.pth"
    checkpoint.parent.mkdir(parents=True)
    classifier_weights.write_checkpoint(checkpoint)
    small = {f"model.{axis}": lengths for axis, lengths in classifier_weights.SMALL.items()}
    code, report = run(CALIBRATION, **small, **{"export.mode": "onnx"})
    assert code == ExitCode.PASSED, report
    (scenario,) = report["verification"]["scenarios"]
    assert (scenario["name"], scenario["status"]) == ("pytorch:cpu vs onnxruntime:cpu", "passed")
    # AWML's file has the evaluation turned off.
    assert "evaluation" not in report
    assert (tmp_path / "work_dirs/calibration_status/bundle/end2end.onnx").is_file()


def test_options_of_awmls_file_are_refused_for_another(tmp_path: Path) -> None:
    (tmp_path / "deploy.yaml").write_text("name: a\n")
    assert main(["run", str(tmp_path / "deploy.yaml"), "--follow-base"]) == ExitCode.BAD_INPUT
