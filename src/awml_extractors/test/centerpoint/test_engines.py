"""TensorRT-RTX builds engines of the models that drive, on a machine without a GPU."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from awml_deploy_core.export import OnnxExportOptions, TensorRTExporter
from awml_deploy_core.export.capture import capture
from awml_deploy_core.export.engine_plan import EngineSource
from awml_deploy_core.export.graph import check, clean
from awml_deploy_core.runtime.trt.cache import EngineCache
from awml_deploy_core.runtime.trt.settings import EngineSettings, PrecisionPolicy
from awml_extractors.centerpoint.family import CenterPointFamily

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
    pytest.skip(
        "TensorRT-RTX is not installed: pip install -r requirements/dev.txt", allow_module_level=True
    )

DEMO = Path(__file__).resolve().parents[4] / "models" / "centerpoint_demo" / "checkpoint.pth"
SETTINGS = EngineSettings(library="tensorrt_rtx")


def sources(variant: str, folder: Path, checkpoint: Path | None = None) -> tuple[EngineSource, ...]:
    """The graphs of a variant, with random weights unless there is a checkpoint.

    They are captured without being run: that takes half a minute for a grid of 1020 cells here.
    """
    from awml_extractors.centerpoint.model import CenterPoint

    family = CenterPointFamily()
    config = family.parse_config({"variant": variant})
    torch.manual_seed(0)
    model = family.load_model(config, checkpoint) if checkpoint else CenterPoint(config).eval()
    made = []
    for component in family.extractor(config).extract(model):
        options = OnnxExportOptions(graph_capture="dynamo")
        captured = capture(component, options).model
        clean(captured, component.spec)
        path = folder / component.spec.onnx_file
        onnx.save(check(captured, component.spec, options.opset_version), path)
        made.append(EngineSource(component.spec, path))
    return tuple(made)


@pytest.mark.parametrize(
    ("variant", "checkpoint", "voxels", "grid"),
    [
        ("demo", DEMO, 20000, 320),
        ("autoware_base", None, 40000, 480),
        ("awml_2_6", None, 96000, 1020),
    ],
)
def test_both_components_become_engines(
    variant: str, checkpoint: Path | None, voxels: int, grid: int, tmp_path: Path
) -> None:
    encoder, head = sources(variant, tmp_path, checkpoint)
    exporter = TensorRTExporter(SETTINGS)
    plans = exporter.plan((encoder, head), tmp_path)
    assert [plan.action for plan in plans] == ["build", "build"]
    profile = plans[0].key.profile["input_features"]
    assert (profile.min[0], profile.opt[0], profile.max[0]) == (1, voxels // 2, voxels)
    assert plans[1].key.profile["spatial_features"].max == (1, 32, grid, grid)

    built = [exporter.export(source, tmp_path) for source in (encoder, head)]
    assert [exporter.export(source, tmp_path).details["reused"] for source in (encoder, head)] == [
        True,
        True,
    ]
    # The engine of the head carries its weights once, in half precision.
    weights = head.onnx_path.stat().st_size
    assert 0.4 * weights < built[1].path.stat().st_size < 0.9 * weights
    layers = json.loads((tmp_path / built[1].details["layers"]).read_text())["Layers"]
    convolutions = [layer for layer in layers if layer["LayerType"] in ("CONVOLUTION", "DECONVOLUTION")]
    assert len(convolutions) >= 26
    assert {layer["Outputs"][0]["Datatype"] for layer in convolutions} == {"HALF"}
    cache = EngineCache(tmp_path)
    assert [cache.damage(record) for record in cache.records()] == [None, None]


def test_the_last_layers_of_the_head_can_stay_fp32(tmp_path: Path) -> None:
    _, head = sources("demo", tmp_path, DEMO)
    graph = onnx.load(head.onnx_path).graph
    outputs = {value.name for value in graph.output}
    last = tuple(node.name for node in graph.node if set(node.output) & outputs)
    assert len(last) == 6
    settings = EngineSettings(library="tensorrt_rtx", policy=PrecisionPolicy("fp16", last))
    artifact = TensorRTExporter(settings).export(head, tmp_path)
    layers = json.loads((tmp_path / artifact.details["layers"]).read_text())["Layers"]
    kinds = {layer["Name"]: layer["Outputs"][0]["Datatype"] for layer in layers}
    assert {kinds[name] for name in last} == {"FLOAT"}
    assert artifact.details["details"]["fp32_nodes"] == list(last)
