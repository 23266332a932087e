"""The commands serve families of images as they serve those of clouds."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
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
from awml_extractors.yolox.family import YoloxFamily


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
        "evaluation": {
            "backends": ["pytorch:cpu", "onnxruntime:cpu"],
            "latency": {"min_frames": 2, "max_frames": 2, "warm_up_frames": 0},
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
    probes = [c for c in report["verification"]["checks"] if c["name"].startswith("probe / ")]
    assert any("of an extracted network" in check["name"] for check in probes)
    assert {check["status"] for check in probes} == {"passed"}
    code, report = run("inspect", tmp_path / "out" / "bundle")
    assert code == ExitCode.PASSED
    code, report = run("selftest", path, "--backend", "onnxruntime:cpu", "--runs", "2")
    assert code == ExitCode.PASSED
    assert any("recorded outputs" in check["message"] for check in report["selftest"]["checks"])
    code, report = run("infer", path)
    assert code == ExitCode.PASSED
    frames: list[dict[str, Any]] = report["inference"]["frames"]
    assert len(frames) == 2
    return frames[0]


def evaluate(path: Path, dataset: str, floors: list[dict[str, Any]], code: ExitCode) -> dict[str, Any]:
    """The evaluation on a data set, which every view shows."""
    page, junit = path.with_name("evaluate.html"), path.with_name("evaluate.xml")
    settings = [f"evaluation.datasets={json.dumps([dataset])}", f"evaluation.floors={json.dumps(floors)}"]
    arguments = [part for text in settings for part in ("--set", text)]
    found, report = run("evaluate", path, *arguments, "--html", str(page), "--junit", str(junit))
    assert found == code, report
    html, cases = page.read_text(), ET.parse(junit).getroot()
    for backend in report["evaluation"]["backends"]:
        assert backend["accuracy"]["headline"] in html
        for table in backend["accuracy"]["tables"]:
            assert table["title"] in html
    assert int(cases.get("failures", "0")) == 2 * (code == ExitCode.FAILED)
    result: dict[str, Any] = report["evaluation"]
    return result


def test_calibration_status(tmp_path: Path) -> None:
    torch.save(classifier_weights.state_dict(), tmp_path / "c.pth")
    model = {"family": "calibration_status", **classifier_weights.SMALL}
    frame = check_all_commands(deploy(tmp_path, model, write_kitti(tmp_path / "kitti")), tmp_path)
    code, _ = run("infer", tmp_path / "deploy.yaml", "--picture", str(tmp_path / "pictures"))
    assert code == ExitCode.BAD_INPUT
    (record,) = frame["detections"]
    assert set(record["probabilities"]) == {"miscalibrated", "calibrated"}
    assert frame["counts"]["points_projected"] > 0
    dataset = f"{tmp_path / 'kitti'}?perturbed=1"
    floor = {"figure": "accuracy", "min": 0.0}
    result = evaluate(tmp_path / "deploy.yaml", dataset, [floor], ExitCode.PASSED)
    for backend in result["backends"]:
        assert backend["frames"] == 4
        assert {row[1] for row in backend["accuracy"]["tables"][0]["rows"]} == {2}
        assert sum(sum(row[1:]) for row in backend["accuracy"]["tables"][1]["rows"]) == 4
    assert result["backends"][1]["figures"]["agreement/matched_share"] == 1.0
    evaluate(tmp_path / "deploy.yaml", dataset, [{"figure": "accuracy", "min": 1.01}], ExitCode.FAILED)


def annotate(path: Path, frames: list[dict[str, Any]], names: list[str]) -> Path:
    """Annotations that say what a model found."""
    boxes = [(image, box) for image, frame in enumerate(frames, 1) for box in frame["detections"]]
    annotations = [
        {
            "id": index,
            "image_id": image,
            "category_id": names.index(box["class"]) + 1,
            "bbox": [
                *box["box"][:2],
                box["box"][2] - box["box"][0],
                box["box"][3] - box["box"][1],
            ],
        }
        for index, (image, box) in enumerate(boxes, 1)
    ]
    images = [{"id": i, "file_name": f"{frame['sample']}.png"} for i, frame in enumerate(frames, 1)]
    categories = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_yolox(tmp_path: Path, photographs: tuple[Path, ...]) -> None:
    (tmp_path / "images").mkdir()
    for photograph in photographs[1:3]:
        (tmp_path / "images" / photograph.name).symlink_to(photograph)
    torch.save(yolox_weights.make_model(yolox_weights.SMALL).state_dict(), tmp_path / "c.pth")
    model = {"family": "yolox", **yolox_weights.SMALL, "options": {"score_threshold": 0.3}}
    frame = check_all_commands(deploy(tmp_path, model, tmp_path / "images"), tmp_path)
    assert frame["detections"]
    assert set(frame["detections"][0]) == {"class", "score", "box"}
    drawn = ("--picture", str(tmp_path / "pictures"))
    code, report = run("infer", tmp_path / "deploy.yaml", "--score", "0.4", *drawn)
    assert code == ExitCode.PASSED
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2
    names = list(YoloxFamily().parse_config({}).class_names)
    annotations = annotate(tmp_path / "annotations.json", report["inference"]["frames"], names)
    source = f"{annotations}?root=images"
    floors = [{"figure": "mean_ap", "min": 0.9}, {"figure": "mean_ap/iou0.50", "min": 0.9}]
    result = evaluate(tmp_path / "deploy.yaml", source, floors, ExitCode.PASSED)
    assert (result["task"], result["num_samples"]) == ("detection2d", 2)
    for backend in result["backends"]:
        assert backend["accuracy"]["details"]["coco"]["num_gt"] > 10
        assert backend["worst"][0]["judged_by"] == "ground truth"
        assert Path(backend["worst"][0]["picture"]).is_file()
    evaluate(tmp_path / "deploy.yaml", source, [{"figure": "mean_ap", "min": 1.01}], ExitCode.FAILED)


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
        "evaluation = dict(enabled=True, num_samples=-1, verbose=True,\n"
        "    backends=dict(onnx=dict(enabled=True, device='cpu', model_dir='out')))\n"
    )
    (tmp_path / "model.py").write_text(
        "model = dict(type='YOLOX', backbone=dict(deepen_factor=0.5, widen_factor=0.25),\n"
        "    neck=dict(num_elan_blocks=1))\n"
    )
    fast = "evaluation.latency={min_frames: 2, max_frames: 2}"
    arguments = ("--model-config", "model.py", "--set", fast)
    code, report = run("run", tmp_path / "deploy_config.py", *arguments)
    assert code == ExitCode.PASSED, report
    assert (tmp_path / "out" / "bundle" / "small.onnx").is_file()
    assert report["verification"]["status"] == "passed"
    (backend,) = report["evaluation"]["backends"]
    assert (backend["name"], backend["frames"]) == ("onnxruntime:cpu", 1)
    assert backend["accuracy"]["headline"].startswith("COCO mAP")
    code, _ = run("run", tmp_path / "out" / "bundle", "--model-config", "model.py")
    assert code == ExitCode.BAD_INPUT
