"""Lowered graphs: what is in them, what they give, and that TensorRT-RTX takes them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_builds import rtx

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.config.precision_schema import Int8Section, PrecisionSection
from awml_deploy_core.errors import ConfigError, ExportError
from awml_deploy_core.export.engine_plan import EngineSource, load_graph
from awml_deploy_core.export.precision import apply_precision, carried_precision, precision_problems
from awml_deploy_core.export.tensorrt_exporter import TensorRTExporter
from awml_deploy_core.precision.calibration import Ranges, tensor_ranges
from awml_deploy_core.precision.groups import layer_groups, with_names
from awml_deploy_core.precision.lowering import to_int8
from awml_deploy_core.precision.variants import VariantMaker
from awml_deploy_core.runtime.trt.settings import EngineSettings, PrecisionPolicy

pytest.importorskip("onnxruntime.quantization")
SETTINGS = Int8Section()


def samples(count: int = 3) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [{"canvas": rng.standard_normal((1, 4, 16, 12), np.float32)} for _ in range(count)]


def run(model: Any, inputs: dict[str, Any]) -> list[Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, inputs)
    return found


@pytest.fixture(scope="module")
def head(conv_file: Path) -> Any:
    return with_names(load_graph(conv_file))


@pytest.fixture(scope="module")
def ranges(head: Any, tmp_path_factory: pytest.TempPathFactory) -> Ranges:
    return tensor_ranges(head, iter(samples()), SETTINGS, tmp_path_factory.mktemp("calibration"))


def layers(model: Any, settings: Int8Section = SETTINGS) -> list[str]:
    return [name for group in layer_groups(model, "head", 0, settings.operators) for name in group.layers]


def test_ranges_are_symmetric_and_cover_every_sample(head: Any, ranges: Ranges) -> None:
    low, high = ranges["canvas"]
    largest = max(float(np.abs(sample["canvas"]).max()) for sample in samples())
    assert high == pytest.approx(largest)
    assert low == -high


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_other_calibrators(head: Any, method: Any, tmp_path: Path, ranges: Ranges) -> None:
    found = tensor_ranges(head, iter(samples()), Int8Section(method=method, percentile=99.0), tmp_path)
    assert 0 < found["canvas"][1] <= ranges["canvas"][1] * 1.01


def test_a_graph_that_cannot_run_says_so(head: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be calibrated"):
        tensor_ranges(head, iter([{"canvas": np.zeros((1, 4), np.float32)}]), SETTINGS, tmp_path)


def test_int8_is_what_tensorrt_takes(head: Any, ranges: Ranges) -> None:
    from onnx import numpy_helper

    model = to_int8(head, layers(head), ranges, SETTINGS, "head")
    values = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert nodes
    for node in nodes:
        assert values[node.input[2]].dtype == np.int8
        assert not values[node.input[2]].any()
    weights = [node for node in nodes if node.input[0] in values]
    assert len(weights) == len(layers(head))
    for node in weights:
        assert values[node.input[0]].dtype == np.int8
        assert values[node.input[1]].shape == (values[node.input[0]].shape[0],)
    convs = {node.name: node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose")}
    biases = [node.input[2] for node in convs.values() if len(node.input) > 2]
    assert biases
    assert all(values[name].dtype == np.float32 for name in biases)
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    assert {makers[output.name] for output in model.graph.output} == {"Conv"}
    assert carried_precision(model) == "int8"


def test_int8_is_near_fp32_and_the_input_model_is_left_alone(head: Any, ranges: Ranges) -> None:
    before = head.SerializeToString()
    model = to_int8(head, layers(head), ranges, SETTINGS, "head")
    assert head.SerializeToString() == before
    for sample in samples():
        for wanted, found in zip(run(head, sample), run(model, sample), strict=True):
            assert np.abs(wanted - found).max() < 0.1 * np.abs(wanted).max()
            assert not np.array_equal(wanted, found)


def test_quantised_outputs_before_a_relu_cost_nothing(head: Any, ranges: Ranges) -> None:
    inputs_only = Int8Section(outputs=False)
    both = [to_int8(head, layers(head), ranges, s, "head") for s in (SETTINGS, inputs_only)]
    counts = [sum(node.op_type == "QuantizeLinear" for node in model.graph.node) for model in both]
    assert counts[0] > counts[1]
    for sample in samples():
        # Differences are those of sums that round to the neighbouring step.
        for a, b in zip(*(run(model, sample) for model in both), strict=True):
            assert np.quantile(np.abs(a - b), 0.9) < 0.02 * np.abs(a).max()


def test_only_the_layers_asked_for_read_quantised_tensors(head: Any, ranges: Ranges) -> None:
    shared = [node for node in head.graph.node if node.op_type == "Conv"]
    chosen = next(node for node in shared if node.output[0] == "heatmap")
    model = to_int8(head, [chosen.name], ranges, SETTINGS, "head")
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            quantized = [name for name in node.input if makers.get(name) == "DequantizeLinear"]
            assert bool(quantized) == (node.name == chosen.name)
    sample = samples(1)[0]
    named = [output.name for output in head.graph.output]
    wanted, found = (dict(zip(named, run(graph, sample), strict=True)) for graph in (head, model))
    assert np.array_equal(wanted["reg"], found["reg"])
    assert not np.array_equal(wanted["heatmap"], found["heatmap"])


def maker(head: Any, ranges: Ranges, folder: Path, **section: Any) -> VariantMaker:
    return VariantMaker(
        {"head": head}, PrecisionSection(group_depth=0, **section), lambda _: ranges, folder
    )


def test_the_same_groups_give_the_same_file(head: Any, ranges: Ranges, tmp_path: Path) -> None:
    first, again = (maker(head, ranges, tmp_path) for _ in range(2))
    groups = first.groups("int8")
    assert first.make("int8", groups) == again.make("int8", tuple(reversed(groups)))
    assert first.make("int8", groups) != first.make("int8", groups[:1])
    plain = load_graph(first.make("int8", ())["head"])
    assert carried_precision(plain) == "fp32"
    for wanted, found in zip(run(head, samples()[0]), run(plain, samples()[0]), strict=True):
        assert np.array_equal(wanted, found)


def test_fp16_of_one_group_casts_it_alone(head: Any, ranges: Ranges, tmp_path: Path) -> None:
    from onnx import TensorProto

    made = maker(head, ranges, tmp_path)
    groups = made.groups("fp16")

    def halves(model: Any) -> int:
        return sum(item.data_type == TensorProto.FLOAT16 for item in model.graph.initializer)

    one, all_of_them = (load_graph(made.make("fp16", low)["head"]) for low in (groups[:1], groups))
    assert 0 < halves(one) < halves(all_of_them)
    for wanted, found in zip(run(head, samples()[0]), run(all_of_them, samples()[0]), strict=True):
        assert found.dtype == np.float32
        assert np.abs(wanted - found).max() < 0.01 * np.abs(wanted).max()


def test_nodes_named_in_the_configuration_stay(head: Any, ranges: Ranges, tmp_path: Path) -> None:
    chosen = next(node.name for node in head.graph.node if node.output[0] == "heatmap")
    kept = maker(head, ranges, tmp_path, fp32_nodes=(chosen,))
    model = load_graph(kept.make("int8", kept.groups("int8"))["head"])
    node = next(node for node in model.graph.node if node.name == chosen)
    initializers = {item.name for item in model.graph.initializer}
    assert node.input[1] in initializers
    with pytest.raises(ConfigError, match="no node is called 'nothing'"):
        maker(head, ranges, tmp_path, fp32_nodes=("nothing",))


def test_a_graph_that_carries_its_precision_is_built_as_it_is(head: Any, ranges: Ranges) -> None:
    half = apply_precision(head, PrecisionPolicy("fp16"), "head")[0]
    assert carried_precision(half) is None
    model = to_int8(head, (), ranges, SETTINGS, "head")
    assert precision_problems(head, PrecisionPolicy("int8"))
    assert not precision_problems(model, PrecisionPolicy("int8"))


@pytest.mark.parametrize("lowered", ["int8", "fp16"])
@pytest.mark.parametrize("outputs", [True, False])
def test_tensorrt_rtx_builds_it(
    head: Any, ranges: Ranges, conv_spec: ComponentSpec, tmp_path: Path, lowered: Any, outputs: bool
) -> None:
    library = rtx()
    made = maker(head, ranges, tmp_path, int8=Int8Section(outputs=outputs))
    groups = made.groups(lowered)
    source = EngineSource(conv_spec, made.make(lowered, groups)["head"])
    settings = EngineSettings(policy=PrecisionPolicy(lowered), library="tensorrt_rtx")
    artifact = TensorRTExporter(settings, library=library).export(source, tmp_path)
    assert artifact.path.stat().st_size > 0
    layers_file = io.StringIO((tmp_path / artifact.details["layers"]).read_text()).getvalue()
    assert ("INT8" if lowered == "int8" else "HALF") in layers_file
