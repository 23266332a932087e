from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from yolox_weights import SMALL, write_checkpoint

from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ArtifactError, ParameterError
from awml_deploy_core.export import ExporterFactory, OnnxExportOptions, OnnxExportWorkflow
from awml_deploy_core.export.precision import apply_precision
from awml_deploy_core.images import Image
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend
from awml_deploy_core.runtime.trt.settings import PrecisionPolicy
from awml_deploy_core.verification.comparators import Detections2DComparator, compare_results
from awml_deploy_core.verification.tolerances import DEFAULTS, Box2dLimits
from awml_extractors.datasets.image_files import read_image
from awml_extractors.yolox.family import YoloxFamily
from awml_extractors.yolox.pipeline import STAGES

FAMILY = YoloxFamily()
RAW = {**SMALL, "options": {"score_threshold": 0.3}}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("yolox_bundle")
    config = FAMILY.parse_config(RAW)
    model = FAMILY.load_model(config, write_checkpoint(folder / "c.pth", RAW))
    factory = ExporterFactory.from_options(onnx=OnnxExportOptions(opset_version=16))
    OnnxExportWorkflow(factory, FAMILY.extractor(config)).run(model, folder)
    FAMILY.write_bundle_files(config, folder)
    return folder


def open_pipeline(
    bundle: Path, backend: str, options: Mapping[str, Any] | None = None, **changes: Any
) -> InferencePipeline[Any, Any]:
    config = FAMILY.parse_config({**RAW, **changes})
    (spec,) = FAMILY.component_specs(config)
    source = SessionSource(
        spec, bundle / spec.onnx_file, lambda: FAMILY.load_model(config, bundle / "c.pth")
    )
    session = load_backend(backend).open_session(source, CPU, SessionOptions())
    return FAMILY.create_pipeline(config, {spec.name: session}, options or {})


def noise(seed: int = 0) -> Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return Image(np.ascontiguousarray(coarse.repeat(30, axis=0).repeat(30, axis=1)))


def test_dumped_configuration_is_read_back() -> None:
    config = FAMILY.parse_config({**RAW, "batch_size": [1, 2, 6], "arch": "P5_ASPP"})
    assert FAMILY.parse_config(json.loads(json.dumps(FAMILY.dump_config(config)))) == config


def test_tensors_are_what_autoware_binds(bundle: Path) -> None:
    import onnx

    model = onnx.load(bundle / "yolox-sPlus-opt.onnx")
    shapes = {
        tensor.name: [dim.dim_value for dim in tensor.type.tensor_type.shape.dim]
        for tensor in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"images": [1, 3, 320, 320], "output": [1, 2100, 13]}
    assert model.opset_import[0].version == 16
    (spec,) = FAMILY.component_specs(FAMILY.parse_config({}))
    assert spec.outputs[0].shape == (1, 18900, 13)


@pytest.mark.parametrize("decoder", ["mmdet", "autoware"])
def test_both_backends_agree_on_photographs(
    bundle: Path, photographs: tuple[Path, ...], decoder: str
) -> None:
    options = {"decoder": decoder}
    limits = Detections2DComparator(Box2dLimits(corner=1.0 if decoder == "autoware" else 0.05))
    boxes = 0
    with (
        open_pipeline(bundle, "pytorch", options) as reference,
        open_pipeline(bundle, "onnxruntime", options) as test,
    ):
        for path in photographs:
            image = read_image(path)
            expected, tap = reference.trace(image)
            actual, other = test.trace(image)
            assert np.array_equal(tap.inputs["yolox"]["images"], other.inputs["yolox"]["images"])
            a, b = (t.outputs["yolox"]["output"] for t in (tap, other))
            assert np.abs(a - b).max() < 1e-4 * np.abs(a).max()
            comparison = limits.compare(expected.output, actual.output)
            assert comparison, f"{path.name}: {comparison.message()}"
            boxes += len(expected.output)
    assert boxes > 100


def test_half_precision_is_within_its_tolerances(
    bundle: Path, photographs: tuple[Path, ...], tmp_path: Path
) -> None:
    import onnx

    config = FAMILY.parse_config(RAW)
    (spec,) = FAMILY.component_specs(config)
    half, _ = apply_precision(onnx.load(bundle / spec.onnx_file), PrecisionPolicy("fp16"), "yolox")
    onnx.save(half, tmp_path / spec.onnx_file)
    compare = {name: compare_results(DEFAULTS[name]).compare for name in ("fp16", "fp32")}
    with (
        open_pipeline(bundle, "pytorch") as reference,
        open_pipeline(tmp_path, "onnxruntime") as test,
    ):
        for path in photographs[:3]:
            image = read_image(path)
            results = reference.infer(image).output, test.infer(image).output
            assert compare["fp16"](*results), compare["fp16"](*results).message()
            assert not compare["fp32"](*results)


def test_result_and_what_is_reported(bundle: Path) -> None:
    image = noise()
    with open_pipeline(bundle, "onnxruntime") as pipeline:
        pipeline.warm_up()
        result, again = pipeline.infer(image), pipeline.infer(image)
    found = result.output
    assert isinstance(found, Detections2D)
    assert np.array_equal(found.boxes, again.output.boxes)
    assert tuple(result.latencies.as_dict()) == STAGES
    assert result.counts["boxes"] == len(found) > 10
    assert result.counts["boxes_decoded"] > len(found)
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() > 0.3
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, [0, 2]] <= image.width).all()
    assert (found.boxes[:, [1, 3]] <= image.height).all()
    assert len(set(found.labels.tolist())) > 1


def test_options(bundle: Path) -> None:
    with open_pipeline(bundle, "onnxruntime", {"score_threshold": 0.35}) as pipeline:
        assert pipeline.option_values()["score_threshold"] == 0.35
        strict = pipeline.with_options({"score_threshold": 1.0})
        assert len(strict.infer(noise()).output) == 0
        assert len(pipeline.with_options({"max_detections": 3}).infer(noise()).output) == 3
        with pytest.raises(ParameterError, match="nms_treshold"):
            pipeline.with_options({"nms_treshold": 0.3})


def test_autowares_boxes_are_whole_pixels_inside_the_image(bundle: Path) -> None:
    image = noise()
    with open_pipeline(bundle, "onnxruntime", {"decoder": "autoware"}) as pipeline:
        found = pipeline.infer(image).output
    assert len(found) > 10
    assert np.array_equal(found.boxes, np.trunc(found.boxes))
    assert (found.boxes[:, 2] <= image.width - 1).all()


def test_graph_of_a_fixed_batch_is_filled_up(bundle: Path) -> None:
    results = []
    for batch in (1, 3):
        with open_pipeline(bundle, "pytorch", batch_size=batch) as pipeline:
            results.append(pipeline.infer(noise()).output)
    assert Detections2DComparator().compare(*results)


def test_bundle_files_are_autowares(bundle: Path) -> None:
    parameters = yaml.safe_load((bundle / "ml_package_yolox.param.yaml").read_text())["/**"][
        "ros__parameters"
    ]
    assert parameters["precision"] == "fp16"
    assert (parameters["score_threshold"], parameters["nms_threshold"]) == (0.35, 0.7)
    labels = (bundle / "label.txt").read_text().splitlines()
    assert labels == list(FAMILY.parse_config({}).class_names)
    found = FAMILY.read_bundle(bundle)
    vehicle = {"decoder": "autoware", "score_threshold": 0.35, "nms_threshold": 0.7}
    assert found == FAMILY.parse_config({**SMALL, "options": vehicle})


def test_foreign_bundle(tmp_path: Path) -> None:
    assert FAMILY.read_bundle(tmp_path) is None
    file = tmp_path / "ml_package_yolox.param.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": {"score_threshold": 0.5}}}))
    with pytest.raises(ArtifactError, match=r"label\.txt"):
        FAMILY.read_bundle(tmp_path)
    (tmp_path / "label.txt").write_text("CAR\nBUS\n\n")
    (tmp_path / "any.onnx").touch()
    found = FAMILY.read_bundle(tmp_path)
    assert found is not None
    assert (found.class_names, found.onnx_file, found.input_size) == (
        ("CAR", "BUS"),
        "any.onnx",
        (960, 960),
    )
    assert (found.options.decoder, found.options.score_threshold) == ("autoware", 0.5)
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": {"score_threshold": 5.0}}}))
    with pytest.raises(ArtifactError, match="score_threshold"):
        FAMILY.read_bundle(tmp_path)
