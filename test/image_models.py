"""Bundles of small models of images with random weights, and what ``awml-deploy infer`` says of them."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from conftest import ROOT

from awml_deploy_core.cli.main import main
from awml_deploy_core.exit_codes import ExitCode


def helper(name: str) -> ModuleType:
    """A module beside the tests of the model families, which know how to make weights."""
    path = ROOT / "src" / "awml_extractors" / "test" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class ExportedModel:
    """A bundle and what the command line says of every sample, in order."""

    bundle: Path
    samples: Path
    frames: list[dict[str, Any]]


def export(folder: Path, model: dict[str, Any], samples: Path) -> ExportedModel:
    """Export ``folder/c.pth`` and run it over samples."""
    config, report = folder / "deploy.yaml", folder / "infer.json"
    content = {
        "name": "small",
        "model": model,
        "checkpoint_path": "c.pth",
        "work_dir": "out",
        "export": {"onnx": {"opset_version": 16}},
        "infer": {"source": str(samples)},
    }
    config.write_text(yaml.safe_dump(content))
    assert main(["export", str(config)]) == ExitCode.PASSED
    assert main(["infer", str(config), "--json", str(report)]) == ExitCode.PASSED
    frames = json.loads(report.read_text())["inference"]["frames"]
    return ExportedModel(folder / "out" / "bundle", samples, frames)


def export_yolox(folder: Path) -> ExportedModel:
    """YOLOX and a smooth image that it finds boxes in."""
    import torch

    weights, files = helper("yolox_weights"), helper("lidar_camera_files")
    torch.save(weights.make_model(weights.SMALL).state_dict(), folder / "c.pth")
    for index in range(2):
        files.write_image(folder / "images" / f"{index}.png", 400, 300, seed=index)
    model = {"family": "yolox", **weights.SMALL, "options": {"score_threshold": 0.3}}
    return export(folder, model, folder / "images")


def export_classifier(folder: Path) -> ExportedModel:
    """The calibration-status classifier and a drive in KITTI's layout."""
    import torch

    weights, files = helper("classifier_weights"), helper("lidar_camera_files")
    torch.save(weights.state_dict(), folder / "c.pth")
    model = {"family": "calibration_status", **weights.SMALL}
    return export(folder, model, files.write_kitti(folder / "kitti"))
