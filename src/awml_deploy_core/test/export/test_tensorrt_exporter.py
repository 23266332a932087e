"""Real engines of small graphs, built by TensorRT-RTX without a GPU."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_builds import rtx, start_builder

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.errors import ArtifactError, BackendUnavailableError, ConfigError, ExportError
from awml_deploy_core.export import tensorrt_exporter
from awml_deploy_core.export.engine_build import build_engine
from awml_deploy_core.export.engine_plan import EngineSource
from awml_deploy_core.export.tensorrt_exporter import TensorRTExporter, held_lock
from awml_deploy_core.files import sha256_file
from awml_deploy_core.runtime.trt.cache import EngineCache
from awml_deploy_core.runtime.trt.library import TensorRTLibrary
from awml_deploy_core.runtime.trt.settings import EngineSettings, PrecisionPolicy, ShapeRange

TF32 = EngineSettings(policy=PrecisionPolicy("tf32"))


@pytest.fixture(scope="module", autouse=True)
def library() -> TensorRTLibrary:
    return rtx()


@pytest.fixture
def encoder(mlp_file: Path, mlp_spec: ComponentSpec, tmp_path: Path) -> EngineSource:
    return EngineSource(mlp_spec, Path(shutil.copy(mlp_file, tmp_path / "encoder.onnx")))


@pytest.fixture
def head(conv_file: Path, conv_spec: ComponentSpec, tmp_path: Path) -> EngineSource:
    return EngineSource(conv_spec, Path(shutil.copy(conv_file, tmp_path / "head.onnx")))


def outputs(layers: Path) -> dict[str, str]:
    content = json.loads(layers.read_text())
    assert content["source"] == "network"
    return {layer["Name"]: layer["Outputs"][0]["Datatype"] for layer in content["Layers"]}


def edit(path: Path, change: Callable[[Any], None]) -> None:
    import onnx

    model = onnx.load(path)
    change(model)
    onnx.save(model, path)


def test_an_engine_is_built_once_and_found_again(encoder: EngineSource, tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    exporter = TensorRTExporter(TF32, on_percent=lambda *event: told.append(event))
    first = exporter.export(encoder, tmp_path)
    assert first.path.stat().st_size > 1000
    assert first.details["reused"] is False
    assert first.produced_by.startswith("tensorrt_rtx 1.")
    assert first.details["key"]["profile"] == {
        "input_features": {"min": [1, 8, 9], "opt": [100, 8, 9], "max": [1000, 8, 9]}
    }
    percents = [percent for _, percent in told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert len(set(percents)) > 10
    told.clear()
    again = exporter.export(encoder, tmp_path)
    assert again.details["reused"] is True
    assert again.path == first.path
    assert told == []


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "FLOAT"), ("tf32", "FLOAT"), ("fp16", "HALF")])
def test_the_network_has_the_precision_of_the_graph(
    head: EngineSource, tmp_path: Path, precision: Any, dtype: str
) -> None:
    settings = EngineSettings(policy=PrecisionPolicy(precision))
    artifact = TensorRTExporter(settings).export(head, tmp_path)
    layers = outputs(tmp_path / artifact.details["layers"])
    convolutions = {kind for name, kind in layers.items() if "Conv" in name and "cast" not in name.lower()}
    assert convolutions == {dtype}


def test_named_nodes_stay_fp32(head: EngineSource, tmp_path: Path) -> None:
    import onnx

    names = [node.name for node in onnx.load(head.onnx_path).graph.node if node.op_type == "ConvTranspose"]
    settings = EngineSettings(policy=PrecisionPolicy("fp16", tuple(names)))
    artifact = TensorRTExporter(settings).export(head, tmp_path)
    assert artifact.details["details"]["fp32_nodes"] == names
    layers = outputs(tmp_path / artifact.details["layers"])
    assert {layers[name] for name in names} == {"FLOAT"}
    assert "HALF" in layers.values()


def test_the_cast_graph_computes_the_same_within_fp16(head: EngineSource) -> None:
    import onnx
    import onnxruntime

    from awml_deploy_core.export.precision import apply_precision

    model = onnx.load(head.onnx_path)
    cast, change = apply_precision(model, PrecisionPolicy("fp16"), "head")
    assert change.casts == 3
    assert [value.type.tensor_type.elem_type for value in cast.graph.input] == [1]
    feed = {"canvas": np.random.default_rng(0).standard_normal((1, 4, 16, 12)).astype(np.float32)}
    expected, actual = (
        onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, feed
        )
        for m in (model, cast)
    )
    for a, b in zip(expected, actual, strict=True):
        assert b.dtype == np.float32
        assert 0 < abs(a - b).max() / abs(a).max() < 5e-3


def test_weights_beyond_fp16_are_reported(
    head: EngineSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from onnx import numpy_helper

    def enlarge(model: Any) -> None:
        tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
        values = numpy_helper.to_array(tensor).copy()
        values.flat[:2] = 1e6
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    edit(head.onnx_path, enlarge)
    artifact = TensorRTExporter().export(head, tmp_path)
    assert artifact.details["details"]["overflowing_weights"] == 2
    assert "2 weights are beyond FP16" in caplog.text


def quantised(source: EngineSource) -> None:
    """Quantise and dequantise the input."""
    from onnx import helper, numpy_helper

    def change(model: Any) -> None:
        graph = model.graph
        name = graph.input[0].name
        for node in graph.node:
            node.input[:] = ["quantised" if value == name else value for value in node.input]
        for value in (np.array(0.05, np.float32), np.array(0, np.int8)):
            graph.initializer.append(numpy_helper.from_array(value, f"q_{value.dtype}"))
        scale, zero = "q_float32", "q_int8"
        nodes = [
            helper.make_node("QuantizeLinear", [name, scale, zero], ["codes"], "q"),
            helper.make_node("DequantizeLinear", ["codes", scale, zero], ["quantised"], "dq"),
        ]
        rest = list(graph.node)
        del graph.node[:]
        graph.node.extend([*nodes, *rest])

    edit(source.onnx_path, change)


def test_a_graph_that_quantises_is_taken_as_int8_and_only_so(head: EngineSource, tmp_path: Path) -> None:
    int8 = EngineSettings(policy=PrecisionPolicy("int8"))
    with pytest.raises(ConfigError, match="no QuantizeLinear"):
        TensorRTExporter(int8).export(head, tmp_path)
    quantised(head)
    with pytest.raises(ConfigError, match="choose int8"):
        TensorRTExporter().export(head, tmp_path)
    artifact = TensorRTExporter(int8).export(head, tmp_path)
    kinds = json.loads((tmp_path / artifact.details["layers"]).read_text())["Layers"]
    assert {"QUANTIZE", "DEQUANTIZE"} <= {layer["LayerType"] for layer in kinds}


def test_all_problems_come_in_one_error_with_an_example(
    encoder: EngineSource, head: EngineSource, tmp_path: Path
) -> None:
    wrong = ShapeRange((5, 8, 10), (4, 8, 10), (3, 8, 10))
    settings = EngineSettings(
        policy=PrecisionPolicy("fp16", ("no_such_node",)),
        profiles={"encoder": {"input_features": wrong, "mask": wrong}, "heads": {}},
        version_compatible=True,
        hardware_compatibility="ampere_plus",
        compute_capabilities=("9.0",),
    )
    with pytest.raises(ConfigError) as caught:
        TensorRTExporter(settings).plan((encoder, head), tmp_path)
    text = str(caught.value)
    for part in (
        "version_compatible: TensorRT-RTX has no",
        "hardware_compatibility: engines of TensorRT-RTX",
        "compute_capabilities: 9.0 is not one of",
        "heads: is no component of the bundle (did you mean head?)",
        "encoder.mask: is no input of the graph",
        "axis 0 has min 5, opt 4, max 3",
        "axis 2 is fixed at 9 in the graph",
        "no node is called 'no_such_node'",
        "input_features: {min: [1, 8, 9], opt: [100, 8, 9], max: [1000, 8, 9]}",
    ):
        assert part in text
    assert not (tmp_path / "engines").exists()


def test_a_graph_of_another_component_is_refused(head: EngineSource, encoder: EngineSource) -> None:
    swapped = EngineSource(head.spec, encoder.onnx_path)
    with pytest.raises(ConfigError, match="has rank 3 in the graph"):
        TensorRTExporter().plan((swapped,), encoder.onnx_path.parent)


def test_files_that_are_no_graph(encoder: EngineSource, tmp_path: Path) -> None:
    encoder.onnx_path.write_bytes(b"\xff\xfe no graph")
    with pytest.raises(ArtifactError, match="is no ONNX file"):
        TensorRTExporter().export(encoder, tmp_path)
    encoder.onnx_path.unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        TensorRTExporter().export(encoder, tmp_path)


def test_weights_that_no_key_covers_are_refused(head: EngineSource, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(head.onnx_path)
    onnx.save(model, head.onnx_path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ArtifactError, match="has weights in other files"):
        TensorRTExporter(TF32).export(head, tmp_path)


def test_an_operator_that_tensorrt_does_not_know_is_named(head: EngineSource, tmp_path: Path) -> None:
    def change(model: Any) -> None:
        node = next(node for node in model.graph.node if node.op_type == "Relu")
        node.op_type, node.domain = "NoSuchOperator", "somewhere"
        model.opset_import.add(domain="somewhere", version=1)

    edit(head.onnx_path, change)
    with pytest.raises(ExportError, match="NoSuchOperator"):
        TensorRTExporter(TF32).export(head, tmp_path)
    assert EngineCache(tmp_path).entries() == []


def test_an_engine_that_does_not_fit_is_built_again(encoder: EngineSource, tmp_path: Path) -> None:
    exporter = TensorRTExporter(TF32)
    first = exporter.export(encoder, tmp_path)
    first.path.write_bytes(b"corrupt")
    (plan,) = exporter.plan((encoder,), tmp_path)
    assert plan.action == "build"
    assert "corrupt: 7 bytes" in plan.why
    assert exporter.export(encoder, tmp_path).path.stat().st_size > 1000
    assert exporter.plan((encoder,), tmp_path)[0].action == "reuse"

    edit(encoder.onnx_path, lambda model: model.metadata_props.add(key="note", value="changed"))
    (plan,) = exporter.plan((encoder,), tmp_path)
    assert plan.action == "build"
    assert "built from another ONNX file" in plan.why


def test_what_does_not_fit_is_refused_if_so_chosen(encoder: EngineSource, tmp_path: Path) -> None:
    refusing = TensorRTExporter(replace(TF32, on_mismatch="refuse"))
    with pytest.raises(ArtifactError, match="no engine of this component"):
        refusing.export(encoder, tmp_path)
    artifact = TensorRTExporter(TF32).export(encoder, tmp_path)
    assert refusing.export(encoder, tmp_path).details["reused"]
    artifact.path.write_bytes(b"corrupt")
    with pytest.raises(ArtifactError, match="corrupt"):
        refusing.export(encoder, tmp_path)
    assert artifact.path.read_bytes() == b"corrupt"


def test_engines_for_single_gpus(encoder: EngineSource, tmp_path: Path) -> None:
    every = TensorRTExporter(TF32).export(encoder, tmp_path)
    ada = TensorRTExporter(replace(TF32, compute_capabilities=("8.9",))).export(encoder, tmp_path)
    assert every.path != ada.path
    assert ada.details["key"]["target"]["compute_capability"] == "8.9"


def test_tensorrt_without_a_gpu_says_what_to_do(encoder: EngineSource, tmp_path: Path) -> None:
    library = TensorRTLibrary("tensorrt", "11.0.0.1", rtx().api)
    with pytest.raises(BackendUnavailableError, match="builds engines on the GPU they are for"):
        TensorRTExporter(TF32, library=library).export(encoder, tmp_path)


def test_the_engine_is_built_on_the_device_of_its_key(
    encoder: EngineSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current: list[int] = []
    built_on: list[list[int]] = []

    @contextmanager
    def make_current(index: int) -> Iterator[None]:
        current.append(index)
        yield
        current.pop()

    def build(*arguments: Any, **named: Any) -> Any:
        built_on.append(list(current))
        return build_engine(*arguments, **named)

    monkeypatch.setattr(tensorrt_exporter, "current_device", make_current)
    monkeypatch.setattr(tensorrt_exporter, "build_engine", build)
    TensorRTExporter(TF32, device_index=1).export(encoder, tmp_path)
    assert built_on == [[1]]


def test_ctrl_c_cancels_the_build(encoder: EngineSource, tmp_path: Path) -> None:
    def interrupt(component: str, percent: int) -> None:
        if 10 < percent < 50:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        TensorRTExporter(TF32, on_percent=interrupt).export(encoder, tmp_path)
    assert EngineCache(tmp_path).entries() == []
    assert not TensorRTExporter(TF32).export(encoder, tmp_path).details["reused"]


def test_an_error_of_the_progress_display_is_not_taken_for_the_builders(
    encoder: EngineSource, tmp_path: Path
) -> None:
    def fail(component: str, percent: int) -> None:
        raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError):
        TensorRTExporter(TF32, on_percent=fail).export(encoder, tmp_path)
    assert EngineCache(tmp_path).entries() == []


def test_a_rebuild_that_waited_has_the_key_of_the_file_it_builds(
    encoder: EngineSource, tmp_path: Path
) -> None:
    exporter = TensorRTExporter(TF32, rebuild=True)
    artifacts = []
    with held_lock(tmp_path):
        waiting = threading.Thread(target=lambda: artifacts.append(exporter.export(encoder, tmp_path)))
        waiting.start()
        time.sleep(0.5)
        edit(encoder.onnx_path, lambda model: model.metadata_props.add(key="note", value="changed"))
    waiting.join(60)
    (artifact,) = artifacts
    assert artifact.details["key"]["onnx_sha256"] == sha256_file(encoder.onnx_path)


@pytest.mark.parametrize("stop", ["build", "engine", "record"])
def test_a_killed_build_leaves_nothing_that_counts(
    encoder: EngineSource, tmp_path: Path, stop: str
) -> None:
    with start_builder(tmp_path, stop) as process:
        assert process.stdout is not None
        lines = []
        while (line := process.stdout.readline()) not in ("REACHED\n", ""):
            lines.append(line)
        assert line == "REACHED\n", process.stderr and process.stderr.read()
        process.kill()
    exporter = TensorRTExporter()
    assert EngineCache(tmp_path).entries() == []
    assert exporter.plan((encoder,), tmp_path)[0].action == "build"
    artifact = exporter.export(encoder, tmp_path)
    cache = EngineCache(tmp_path)
    (record,) = cache.records()
    assert cache.damage(record) is None
    cache.sweep({"encoder": record.key.onnx_sha256})
    assert {path.name for path in cache.folder.iterdir()} == {
        f"{artifact.path.name}{suffix}" for suffix in ("", ".json", ".layers.json")
    }


def test_concurrent_builders_wait_and_share(encoder: EngineSource, tmp_path: Path) -> None:
    processes = [start_builder(tmp_path) for _ in range(3)]
    said = [process.communicate(timeout=120) for process in processes]
    results = sorted(out.split()[-1] for out, _ in said)
    assert results == ["BUILT", "REUSED", "REUSED"], said
    assert len(EngineCache(tmp_path).records()) == 1


def test_a_folder_that_cannot_be_written_is_one_error(encoder: EngineSource, tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("in the way")
    with pytest.raises(ArtifactError, match="engines"):
        TensorRTExporter(TF32).export(encoder, tmp_path)
