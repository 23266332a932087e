from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec, DynamicAxis, ExportableComponent, TensorSpec
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ArtifactError, ExportError, MissingDependencyError
from awml_deploy_core.export import OnnxExportOptions, onnx_exporter
from awml_deploy_core.export import capture as capture_module
from awml_deploy_core.export.onnx_exporter import OnnxExporter
from awml_deploy_core.logging_setup import configure_logging
from awml_deploy_core.runtime import SessionSource, open_sessions

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

SPEC = ComponentSpec("f", "f.onnx", (TensorSpec("x", (2, 3)),), (TensorSpec("y", (2, 3)),))


class Function(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def component(function: Any, spec: ComponentSpec = SPEC, *shape: int) -> ExportableComponent:
    return ExportableComponent(spec, Function(function).eval(), (torch.ones(*(shape or (2, 3))),))


def dims(value: Any) -> list[Any]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def operators(model: Any) -> set[str]:
    return {node.op_type for node in model.graph.node}


def relative_difference(part: ExportableComponent, path: Path, length: int) -> float:
    source = SessionSource(part.spec, path, lambda: part.module)
    shape = [axis if isinstance(axis, int) else length for axis in part.spec.inputs[0].shape]
    inputs = {part.spec.inputs[0].name: np.random.default_rng(1).standard_normal(shape).astype(np.float32)}
    expected, actual = (
        open_sessions([source], backend, CPU)[part.spec.name].run(inputs)
        for backend in ("pytorch", "onnxruntime")
    )
    return max(float(abs(actual[k] - v).max() / abs(v).max()) for k, v in expected.items())


@pytest.mark.parametrize(
    ("capture", "opset", "used"),
    [
        ("auto", 17, "dynamo"),
        ("auto", 18, "dynamo"),
        ("auto", 13, "torchscript"),
        ("dynamo", 17, "dynamo"),
        ("torchscript", 17, "torchscript"),
    ],
)
@pytest.mark.parametrize("name", ["conv", "mlp"])
def test_exports_the_opset_asked_for_with_names_axes_and_values_preserved(
    name: str, capture: Any, opset: int, used: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    part: ExportableComponent = request.getfixturevalue(f"{name}_component")
    options = OnnxExportOptions(opset_version=opset, graph_capture=capture)

    artifact = OnnxExporter(options).export(part, tmp_path)

    assert artifact.path == tmp_path / part.spec.onnx_file
    assert artifact.details["graph_capture"] == used
    assert f"({used}), opset {opset}" in artifact.produced_by
    model = onnx.load(artifact.path)
    onnx.checker.check_model(model, full_check=True)
    assert [item.version for item in model.opset_import if item.domain == ""] == [opset]
    for values, specs in ((model.graph.input, part.spec.inputs), (model.graph.output, part.spec.outputs)):
        assert [value.name for value in values] == [spec.name for spec in specs]
        for value, spec in zip(values, specs, strict=True):
            assert dims(value) == [a.name if isinstance(a, DynamicAxis) else a for a in spec.shape]
    assert relative_difference(part, artifact.path, 1) < 1e-5
    assert relative_difference(part, artifact.path, 333) < 1e-5


def test_batch_normalisation_is_folded_into_convolutions(
    conv_component: ExportableComponent, tmp_path: Path
) -> None:
    model = onnx.load(OnnxExporter().export(conv_component, tmp_path).path)
    assert operators(model) == {"Conv", "ConvTranspose", "Relu"}


def test_without_simplification_torchscript_keeps_it(
    conv_component: ExportableComponent, tmp_path: Path
) -> None:
    options = OnnxExportOptions(simplify=False, graph_capture="torchscript")
    artifact = OnnxExporter(options).export(conv_component, tmp_path)
    assert "BatchNormalization" in artifact.details["operators"]
    assert "onnxslim" not in artifact.produced_by


def test_the_file_is_self_contained_and_carries_its_spec(
    conv_component: ExportableComponent, tmp_path: Path
) -> None:
    model = onnx.load(OnnxExporter().export(conv_component, tmp_path).path, load_external_data=False)
    assert os.listdir(tmp_path) == ["head.onnx"]
    assert not any(tensor.data_location for tensor in model.graph.initializer)
    metadata = {item.key: item.value for item in model.metadata_props}
    assert metadata["convention"] == "wlh"
    assert metadata["awml_deploy.component"] == "head"
    assert metadata["awml_deploy.opset"] == "17"
    assert '"heatmap"' in metadata["awml_deploy.spec"]


def test_the_file_tells_nothing_about_the_machine(
    conv_component: ExportableComponent, tmp_path: Path
) -> None:
    for capture in ("dynamo", "torchscript"):
        content = (
            OnnxExporter(OnnxExportOptions(graph_capture=capture)).export(conv_component, tmp_path)
        ).path.read_bytes()
        for trace in (b"stack_trace", b".py", str(Path(__file__).parent).encode(), b"site-packages"):
            assert trace not in content


@pytest.mark.parametrize("capture", ["dynamo", "torchscript"])
def test_the_same_input_gives_the_same_bytes(
    mlp_component: ExportableComponent, tmp_path: Path, capture: Any
) -> None:
    exporter = OnnxExporter(OnnxExportOptions(graph_capture=capture))
    first = exporter.export(mlp_component, tmp_path).path.read_bytes()
    assert exporter.export(mlp_component, tmp_path).path.read_bytes() == first


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import torch
from awml_deploy_core.components import ComponentSpec, DynamicAxis, SimpleComponentExtractor, TensorSpec
from awml_deploy_core.export import ExporterFactory, OnnxExportWorkflow
n = DynamicAxis("n", 1, 4, 8)
spec = ComponentSpec("m", "m.onnx", (TensorSpec("x", (n, 3)),), (TensorSpec("y", (n, 2)),))
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)).eval()
factory = ExporterFactory.from_options()
OnnxExportWorkflow(factory, SimpleComponentExtractor(spec)).run(model, Path(sys.argv[1]))
"""
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "1" / "m.onnx").read_bytes() == (tmp_path / "2" / "m.onnx").read_bytes()


def test_a_sample_of_length_one_does_not_freeze_a_dynamic_axis(
    mlp_component: ExportableComponent, tmp_path: Path
) -> None:
    part = dataclasses.replace(mlp_component, sample_inputs=(torch.randn(1, 8, 9),))
    artifact = OnnxExporter(OnnxExportOptions(graph_capture="dynamo")).export(part, tmp_path)
    assert relative_difference(part, artifact.path, 5) < 1e-5


def test_exporting_leaves_logging_and_warnings_as_they_were(
    conv_component: ExportableComponent, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    level = logging.getLogger("torch").level
    OnnxExporter().export(conv_component, tmp_path)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("torch").level == level


def test_a_module_in_training_mode_is_refused(tmp_path: Path) -> None:
    module = torch.nn.Dropout().train()
    with pytest.raises(ExportError, match="component f: its module is in training mode"):
        OnnxExporter().export(ExportableComponent(SPEC, module, (torch.ones(2, 3),)), tmp_path)


def test_a_module_that_fails_is_named(tmp_path: Path) -> None:
    part = component(lambda x: x @ x)
    with pytest.raises(ExportError, match="component f: its module fails on the sample inputs"):
        OnnxExporter().export(part, tmp_path)
    assert os.listdir(tmp_path) == []


def test_all_mismatches_of_outputs_are_listed(tmp_path: Path) -> None:
    spec = ComponentSpec(
        "f", "f.onnx", SPEC.inputs, tuple(TensorSpec(name, (2, 3)) for name in ("y", "z", "w"))
    )
    part = component(lambda x: (x[:1], x.double(), "text"), spec)
    with pytest.raises(ExportError) as caught:
        OnnxExporter().export(part, tmp_path)
    assert caught.value.problems == (
        "y: axis 0 is 1, expected 2 (shape [2, 3])",
        "z: dtype float64, expected float32",
        "w: str, expected a tensor",
    )


def test_another_number_of_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="2 tensors, expected 1: y"):
        OnnxExporter().export(component(lambda x: (x, x)), tmp_path)


def test_samples_that_contradict_the_spec_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="sample inputs do not match the spec"):
        OnnxExporter().export(component(lambda x: x, SPEC, 2, 4), tmp_path)


def test_a_dynamic_axis_frozen_by_the_module_is_refused(tmp_path: Path) -> None:
    n = DynamicAxis("n", 1, 4, 8)
    spec = ComponentSpec("f", "f.onnx", (TensorSpec("x", (n, 3)),), (TensorSpec("y", (n, 3)),))
    part = component(lambda x: x + torch.ones(4, 3), spec, 4, 3)
    for capture in ("auto", "dynamo", "torchscript"):
        with pytest.raises(ExportError, match="component f"):
            OnnxExporter(OnnxExportOptions(graph_capture=capture)).export(part, tmp_path)
    assert os.listdir(tmp_path) == []


def test_every_capture_that_failed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, dynamo: bool, **kwargs: Any) -> None:
        raise RuntimeError(f"no operator, dynamo={dynamo}")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ExportError, match="component f: cannot be exported at opset 17") as caught:
        OnnxExporter().export(component(lambda x: x), tmp_path)
    assert caught.value.problems == (
        "dynamo: no operator, dynamo=True",
        "torchscript: no operator, dynamo=False",
    )


def test_auto_goes_on_with_torchscript_where_dynamo_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = torch.onnx.export

    def only_torchscript(*args: Any, dynamo: bool, **kwargs: Any) -> Any:
        if dynamo:
            raise RuntimeError("unsupported")
        return real(*args, dynamo=dynamo, **kwargs)

    monkeypatch.setattr(torch.onnx, "export", only_torchscript)
    # Its lines go to standard error, which the export keeps from others.
    configure_logging("info")
    artifact = OnnxExporter().export(component(lambda x: x * 2), tmp_path)
    assert artifact.details["graph_capture"] == "torchscript"
    assert "info: f: graph capture failed: dynamo: unsupported\n" in capsys.readouterr().err


def test_the_cause_of_a_failed_capture_is_told_without_the_advice_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("This is step 1/3.\n- Create an issue") from KeyError("aten.foo\nat line 3")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ExportError) as caught:
        OnnxExporter(OnnxExportOptions(graph_capture="dynamo")).export(component(lambda x: x), tmp_path)
    assert caught.value.problems == (r"dynamo: KeyError: 'aten.foo\nat line 3'",)


def test_an_interrupt_that_torch_swallows_ends_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def interrupted(*_: Any, dynamo: bool, **__: Any) -> None:
        tried.append(dynamo)
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
        raise AttributeError("partially imported")

    monkeypatch.setattr(torch.onnx, "export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        OnnxExporter().export(component(lambda x: x), tmp_path)
    assert tried == [True]
    assert not list(tmp_path.iterdir())


def test_a_constant_frozen_by_tracing_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = OnnxExportOptions(graph_capture="torchscript")
    with caplog.at_level(logging.WARNING):
        OnnxExporter(options).export(component(lambda x: x * float(x.sum())), tmp_path)
    assert "might not generalize" in caplog.text


def test_weights_beyond_one_protobuf_message_are_refused(
    conv_component: ExportableComponent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_module, "MAX_BYTES", 100)
    with pytest.raises(ExportError, match="component head: is too large for one ONNX file"):
        OnnxExporter().export(conv_component, tmp_path)


def test_a_folder_that_cannot_be_written_is_an_artifact_error(
    conv_component: ExportableComponent, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match=r"head\.onnx: cannot be written"):
        OnnxExporter().export(conv_component, tmp_path / "missing")


def test_missing_packages_are_named(
    conv_component: ExportableComponent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_exporter, "find_spec", lambda name: None if name == "onnxslim" else object())
    with pytest.raises(MissingDependencyError, match=r"needs onnxslim\. pip install"):
        OnnxExporter().export(conv_component, tmp_path)
