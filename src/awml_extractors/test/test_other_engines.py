"""TensorRT-RTX builds engines of the models of images, with profiles for sizes and batches that change."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yolox_weights

from awml_deploy_core.awml_import import import_awml_config
from awml_deploy_core.config.tensorrt_schema import TensorRTSection
from awml_deploy_core.export import OnnxExportOptions, TensorRTExporter
from awml_deploy_core.export.capture import capture
from awml_deploy_core.export.engine_plan import EngineSource
from awml_deploy_core.export.graph import check, clean
from awml_deploy_core.family import load_family

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
    pytest.skip(
        "TensorRT-RTX is not installed: pip install -r requirements/dev.txt", allow_module_level=True
    )

CONFIGS = Path(__file__).parent / "awml_configs"


def make_network(name: str, raw: dict[str, Any]) -> Any:
    if name == "yolox":
        return yolox_weights.make_model(raw)
    from awml_extractors.calibration_status.model import CalibrationStatusClassifier

    torch.manual_seed(0)
    return CalibrationStatusClassifier(5, 2).eval()


def build(name: str, raw: dict[str, Any], folder: Path, precision: str = "fp16") -> Any:
    """The plan and the artifact of a model's engine; its graph is captured without being run."""
    family = load_family(name)
    config = family.parse_config(raw)
    (component,) = family.extractor(config).extract(make_network(name, raw))
    options = OnnxExportOptions(opset_version=16, graph_capture="dynamo")
    captured = capture(component, options).model
    clean(captured, component.spec)
    source = EngineSource(component.spec, folder / component.spec.onnx_file)
    onnx.save(check(captured, component.spec, options.opset_version), source.onnx_path)
    section = {"library": "tensorrt_rtx", "precision": precision}
    exporter = TensorRTExporter(TensorRTSection.model_validate(section).settings())
    (plan,) = exporter.plan((source,), folder)
    artifact = exporter.export(source, folder)
    assert exporter.export(source, folder).details["reused"]
    return plan, artifact


def convolutions(folder: Path, artifact: Any) -> list[str]:
    layers = json.loads((folder / artifact.details["layers"]).read_text())["Layers"]
    return [layer["Outputs"][0]["Datatype"] for layer in layers if layer["LayerType"] == "CONVOLUTION"]


def test_classifier_with_the_profile_of_awmls_file(tmp_path: Path) -> None:
    content = import_awml_config(CONFIGS / "calibration_deploy_config.py", root=tmp_path).content
    section = dict(content["model"])
    precision = content["export"]["tensorrt"]["precision"]
    plan, artifact = build(section.pop("family"), section, tmp_path, precision)
    profile = plan.key.profile["input"]
    assert (profile.min, profile.opt, profile.max) == (
        (1, 5, 1080, 1920),
        (1, 5, 1860, 2880),
        (1, 5, 2160, 3840),
    )
    assert artifact.path.stat().st_size > 20e6
    assert set(convolutions(tmp_path, artifact)) == {"HALF"}


def test_detector_with_a_batch_that_changes(tmp_path: Path) -> None:
    plan, artifact = build("yolox", {**yolox_weights.SMALL, "batch_size": [1, 2, 6]}, tmp_path)
    profile = plan.key.profile["images"]
    assert (profile.min, profile.opt, profile.max) == tuple((n, 3, 320, 320) for n in (1, 2, 6))
    found = convolutions(tmp_path, artifact)
    assert len(found) > 40
    assert set(found) == {"HALF"}
