from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from classifier_weights import SMALL, state_dict, write_checkpoint
from lidar_camera_files import calibration_infos, write_image, write_kitti

from awml_deploy_core.classification import Classification
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ArtifactError, ConfigError, ImageError, ParameterError
from awml_deploy_core.export import ExporterFactory, OnnxExportOptions, OnnxExportWorkflow
from awml_deploy_core.export.precision import apply_precision
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend
from awml_deploy_core.runtime.trt.settings import PrecisionPolicy
from awml_deploy_core.verification.comparators import compare_results
from awml_deploy_core.verification.tolerances import DEFAULTS
from awml_extractors.calibration_status.config import CalibrationStatusConfig
from awml_extractors.calibration_status.family import CalibrationStatusFamily
from awml_extractors.calibration_status.pipeline import STAGES

FAMILY = CalibrationStatusFamily()
LOGIT_LIMIT = 1e-4


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibration_bundle")
    config = FAMILY.parse_config(SMALL)
    model = FAMILY.load_model(config, write_checkpoint(folder / "c.pth"))
    factory = ExporterFactory.from_options(onnx=OnnxExportOptions(opset_version=17))
    OnnxExportWorkflow(factory, FAMILY.extractor(config)).run(model, folder)
    FAMILY.write_bundle_files(config, folder)
    return folder


def open_pipeline(
    bundle: Path, backend: str, options: Mapping[str, Any] | None = None, **changes: Any
) -> InferencePipeline[Any, Any]:
    config = FAMILY.parse_config({**SMALL, **changes})
    (spec,) = FAMILY.component_specs(config)

    def module() -> torch.nn.Module:
        return FAMILY.load_model(config, bundle / "c.pth")

    source = SessionSource(spec, bundle / spec.onnx_file, module)
    session = load_backend(backend).open_session(source, CPU, SessionOptions())
    return FAMILY.create_pipeline(config, {spec.name: session}, options or {})


def compare(bundle: Path, source: str) -> None:
    samples = FAMILY.open_samples(source)
    with open_pipeline(bundle, "pytorch") as reference, open_pipeline(bundle, "onnxruntime") as test:
        for index in range(len(samples)):
            expected, tap = reference.trace(samples[index].input)
            actual, other = test.trace(samples[index].input)
            (name,) = tap.inputs
            assert np.array_equal(tap.inputs[name]["input"], other.inputs[name]["input"])
            difference = np.abs(tap.outputs[name]["output"] - other.outputs[name]["output"]).max()
            assert difference < LOGIT_LIMIT
            assert expected.output.class_name == actual.output.class_name
            assert actual.output.score == pytest.approx(expected.output.score, abs=LOGIT_LIMIT)


def test_dumped_configuration_is_read_back() -> None:
    config = FAMILY.parse_config({**SMALL, "batch_size": 1})
    assert FAMILY.parse_config(json.loads(json.dumps(FAMILY.dump_config(config)))) == config


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"height": [10, 5, 20]}, "height: must be least, usual and largest"),
        ({"class_names": ["a"]}, "class_names must be two"),
        ({"max_deph": 1}, "max_deph: unknown key (did you mean max_depth?)"),
        ({"onnx_file": "../a.onnx"}, "onnx_file"),
        ({"max_depth": float("nan")}, "max_depth"),
    ],
)
def test_invalid_configuration(raw: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FAMILY.parse_config(raw)
    assert problem in str(caught.value)


def test_options() -> None:
    with pytest.raises(ParameterError, match="rectfy"):
        FAMILY.check_options(CalibrationStatusConfig(), {"rectfy": True})


def test_graph_has_dynamic_batch_and_size(bundle: Path) -> None:
    import onnx

    graph = onnx.load(bundle / "calibration_status_classifier.onnx").graph
    shapes = {
        t.name: [d.dim_param or d.dim_value for d in t.type.tensor_type.shape.dim]
        for t in (*graph.input, *graph.output)
    }
    assert shapes["input"][1] == 5
    assert all(isinstance(shapes["input"][axis], str) for axis in (0, 2, 3))
    assert isinstance(shapes["output"][0], str)
    assert shapes["output"][1] == 2


def test_both_backends_agree_on_made_up_frames(bundle: Path, tmp_path: Path) -> None:
    compare(bundle, f"{write_kitti(tmp_path / 'kitti')}?perturbed=3")
    compare(bundle, str(calibration_infos(tmp_path / "infos.pkl")))


def test_both_backends_agree_on_real_clouds(bundle: Path, tmp_path: Path, assets: Path) -> None:
    """KITTI's clouds and calibrations; the images are made up."""
    for name in ("velodyne", "calib"):
        (tmp_path / name).mkdir()
    for stem in ("000001", "000008"):
        for name, ending in (("velodyne", "bin"), ("calib", "txt")):
            (tmp_path / name / f"{stem}.{ending}").symlink_to(assets / "kitti" / name / f"{stem}.{ending}")
        write_image(tmp_path / "image_2" / f"{stem}.png", 1242, 375)
    compare(bundle, f"{tmp_path}?perturbed=1")


def test_half_precision_is_within_its_tolerances(bundle: Path, tmp_path: Path) -> None:
    import onnx

    (spec,) = FAMILY.component_specs(FAMILY.parse_config(SMALL))
    half, _ = apply_precision(onnx.load(bundle / spec.onnx_file), PrecisionPolicy("fp16"), "classifier")
    onnx.save(half, tmp_path / spec.onnx_file)
    samples = FAMILY.open_samples(f"{write_kitti(tmp_path / 'kitti')}?perturbed=3")
    comparator = compare_results(DEFAULTS["fp16"])
    with open_pipeline(bundle, "pytorch") as reference, open_pipeline(tmp_path, "onnxruntime") as test:
        for index in range(len(samples)):
            results = [side.infer(samples[index].input).output for side in (reference, test)]
            found = comparator.compare(*results)
            assert found, found.message()
            assert found.details["worst"]["probability"] > 0


def test_result_and_what_is_reported(bundle: Path, tmp_path: Path) -> None:
    sample = FAMILY.open_samples(str(write_kitti(tmp_path / "kitti")))[0]
    with open_pipeline(bundle, "onnxruntime") as pipeline:
        pipeline.warm_up()
        result = pipeline.infer(sample.input)
        again = pipeline.infer(sample.input)
    assert isinstance(result.output, Classification)
    assert result.output.probabilities.sum() == pytest.approx(1)
    assert np.array_equal(result.output.probabilities, again.output.probabilities)
    assert tuple(result.latencies.as_dict()) == STAGES
    assert result.counts["points_in"] == 500
    assert 0 < result.counts["points_projected"] < 500


def test_rectification_can_be_left_out(bundle: Path, tmp_path: Path) -> None:
    sample = FAMILY.open_samples(str(calibration_infos(tmp_path / "infos.pkl")))[0]
    with open_pipeline(bundle, "onnxruntime") as pipeline:
        (name,) = (session.spec.name for session in pipeline.sessions)
        rectified = pipeline.trace(sample.input)[1].inputs[name]["input"]
        other = pipeline.with_options({"rectify": False})
        assert other.option_values() == {"rectify": False}
        plain = other.trace(sample.input)[1].inputs[name]["input"]
    pixels = sample.input.image.pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    assert np.array_equal(plain[0, :3], pixels)
    assert not np.array_equal(rectified, plain)


def test_image_of_another_size(bundle: Path, tmp_path: Path) -> None:
    folder = write_kitti(tmp_path / "kitti", 1)
    write_image(folder / "image_2" / "000000.png", 64, 16)
    with (
        open_pipeline(bundle, "onnxruntime") as pipeline,
        pytest.raises(ImageError, match=r"16 px.*32\.\.400 px"),
    ):
        pipeline.infer(FAMILY.open_samples(str(folder))[0].input)


def test_graph_of_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    torch.save(state_dict(), tmp_path / "c.pth")
    sample = FAMILY.open_samples(str(write_kitti(tmp_path / "kitti", 1)))[0].input
    results = []
    for batch in (1, 3):
        with open_pipeline(tmp_path, "pytorch", batch_size=batch, height=48, width=64) as pipeline:
            results.append(pipeline.infer(sample).output.probabilities)
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_bundle_files_are_autowares(bundle: Path) -> None:
    content = yaml.safe_load((bundle / "ml_package_calibration_status_classifier.param.yaml").read_text())
    assert content["/**"]["ros__parameters"] == {
        "max_depth": 128.0,
        "dilation_size": 1,
        "height": [32, 48, 400],
        "width": [32, 64, 1300],
        "ego_box": [0.0] * 6,
    }
    assert FAMILY.read_bundle(bundle) == FAMILY.parse_config(SMALL)


def test_foreign_bundle(tmp_path: Path) -> None:
    assert FAMILY.read_bundle(tmp_path) is None
    parameters = {"max_depth": 100.0, "dilation_size": 2, "height": [10, 20, 30], "width": [10, 20, 30]}
    file = tmp_path / "ml_package_calibration_status_classifier.param.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
    with pytest.raises(ArtifactError, match="exactly one ONNX file"):
        FAMILY.read_bundle(tmp_path)
    (tmp_path / "model.onnx").touch()
    config = FAMILY.read_bundle(tmp_path)
    assert config is not None
    assert (config.onnx_file, config.max_depth, config.height) == ("model.onnx", 100.0, (10, 20, 30))
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": {**parameters, "max_depth": "far"}}}))
    with pytest.raises(ArtifactError, match="max_depth"):
        FAMILY.read_bundle(tmp_path)
