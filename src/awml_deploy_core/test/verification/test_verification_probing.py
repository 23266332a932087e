"""Probes of the toy family, and what is checked about a bundle before anything runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_family import ToyConfig, ToyFamily, ToyPipeline

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.components import DynamicAxis
from awml_deploy_core.config import LoadedConfig
from awml_deploy_core.detections import Detections
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import InferenceError
from awml_deploy_core.family import Probe
from awml_deploy_core.files import sha256_file
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runner.deployment import DeploymentRunner
from awml_deploy_core.runtime.trt.cache import EngineCache
from awml_deploy_core.runtime.trt.key import EngineKey, EngineTarget
from awml_deploy_core.verification import CheckResult, Status, probing
from awml_deploy_core.verification.bundle_checks import bundle_checks
from awml_deploy_core.verification.probing import ConstantSession, Decoder, run_probes

CONFIG = ToyConfig()
POINTS = np.array([[1, 2, 3], [40, 5, 6]], np.float32)
SIZES = np.array([[4, 2, 1.5], [1, 0.5, 2]], np.float32)
YAWS = np.array([0.5, -2.5], np.float32)


def probe() -> Probe:
    boxes = np.column_stack([np.log(SIZES), np.sin(YAWS), np.cos(YAWS)]).astype(np.float32)
    scores = np.array([[2, -9], [-9, 1]], np.float32)
    expected = Detections(
        POINTS,
        SIZES,
        YAWS,
        np.zeros((2, 2), np.float32),
        (1 / (1 + np.exp(-np.array([2, 1], np.float32)))).astype(np.float32),
        np.array([0, 1], np.int32),
        CONFIG.class_names,
    )
    return Probe(
        "two boxes",
        PointCloudFrame.single(PointColumns.from_array(POINTS)),
        {"head": {"boxes": boxes, "scores": scores}},
        {},
        expected,
        {"encoder": {"points": POINTS}, "head": {"features": np.zeros((2, CONFIG.channels), np.float32)}},
    )


def run(found: Probe | None = None, config: ToyConfig = CONFIG) -> list[CheckResult]:
    return list(run_probes(ToyFamily(), [found or probe()], [Decoder("bundle", config, CPU)]))


def test_what_went_in_comes_back() -> None:
    checks = run()
    assert [check.status for check in checks] == [Status.PASSED] * 3
    assert checks[0].name == "probe / two boxes / bundle on cpu / input of encoder"
    assert checks[-1].details["matched"] == 2


def test_a_decoder_that_swaps_sides_is_diagnosed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ToyPipeline._decode

    def swapped(self: Any, points: Any, out: Any) -> Detections:
        found = original(self, points, out)
        return replace(found, sizes=found.sizes[:, [1, 0, 2]])

    monkeypatch.setattr(ToyPipeline, "_decode", swapped)
    check = run()[-1]
    assert check.status is Status.FAILED
    assert check.message.startswith("length and width are swapped; ")
    assert check.details["diagnosis"] == ["length and width are swapped"]


def test_other_inputs_of_a_component_fail() -> None:
    wrong = replace(probe(), expected_inputs={"encoder": {"points": POINTS + 1, "extra": POINTS}})
    check = run(wrong)[0]
    assert check.status is Status.FAILED
    assert "points: a constant is added to all channels: -1, -1, -1; relative" in check.message
    assert "extra was not fed" in check.message


def test_rows_of_zeros_behind_the_expected_ones_are_padding() -> None:
    found = probe()
    expected = {"encoder": {"points": POINTS[:1]}}
    assert run(replace(found, expected_inputs=expected))[0].status is Status.FAILED
    padded = np.zeros((len(POINTS) + 5, 3), np.float32)
    padded[: len(POINTS)] = POINTS
    assert np.array_equal(probing._without_padding(padded, len(POINTS)), POINTS)
    assert len(probing._without_padding(padded, 1)) == len(padded)


def test_an_option_that_the_decoder_does_not_know_fails() -> None:
    (check,) = run(replace(probe(), options={"treshold": 1}))
    assert check.status is Status.FAILED
    assert "unknown" in check.message


def test_a_pipeline_that_breaks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise InferenceError("decode", "ran out of memory")

    monkeypatch.setattr(ToyPipeline, "_decode", broken)
    (check,) = run()
    assert check.status is Status.ERROR


def test_a_component_without_constants_gives_zeros_as_long_as_its_input() -> None:
    spec = ToyFamily().component_specs(CONFIG)[0]
    found = ConstantSession(spec, CPU, {}).run({"points": POINTS})
    assert found["features"].shape == (2, CONFIG.channels)


@pytest.fixture
def bundle(loaded: LoadedConfig) -> ModelBundle:
    DeploymentRunner(loaded).export()
    return ModelBundle.open(loaded.deploy.bundle)


def test_a_bundle_is_compared_with_what_is_configured(
    bundle: ModelBundle, loaded: LoadedConfig, tmp_path: Path
) -> None:
    configured = loaded.family.dump_config(loaded.model)
    checkpoint = loaded.deploy.checkpoint_path
    assert all(check.status is Status.PASSED for check in bundle_checks(bundle, configured, checkpoint))
    other = tmp_path / "other.pth"
    other.write_bytes(b"other")
    settings, weights, *_ = bundle_checks(bundle, {**configured, "channels": 9}, other)
    assert settings.message.startswith("exported with other settings: channels is 8 in the bundle, 9")
    assert "exported from another checkpoint (weights.pth)" in weights.message
    assert list(bundle_checks(replace(bundle, manifest=None), configured, other)) == []


def failures(bundle: ModelBundle) -> list[CheckResult]:
    return [check for check in bundle_checks(bundle, None, None) if check.status is Status.FAILED]


def test_a_file_of_the_vehicle_that_says_something_else_is_named_with_its_key(bundle: ModelBundle) -> None:
    assert failures(bundle) == []
    file = bundle.folder / "toy.yaml"
    content = json.loads(file.read_text())
    # Another layout is the same content, and what another version adds is its business.
    file.write_text(json.dumps(content | {"comment": "mine"}, indent=2))
    assert failures(bundle) == []
    file.write_text(json.dumps(content | {"max_points": 8}))
    (check,) = failures(bundle)
    assert check.name == "bundle / files of the vehicle's node"
    assert check.message == "toy.yaml: max_points is 8, the manifest gives 4096"


def test_a_setting_that_an_earlier_version_did_not_know_has_its_default(bundle: ModelBundle) -> None:
    assert bundle.manifest is not None
    known = {key: value for key, value in bundle.manifest.model.items() if key != "max_points"}
    older = replace(bundle, manifest=bundle.manifest.model_copy(update={"model": known}))
    configured = bundle.family.dump_config(bundle.config)
    assert all(check.status is Status.PASSED for check in bundle_checks(older, configured, None))


def test_a_component_that_takes_less_than_its_model_needs_fails(bundle: ModelBundle) -> None:
    encoder, head = bundle.specs
    (points,) = encoder.inputs
    axis, *others = points.shape
    assert isinstance(axis, DynamicAxis)
    narrow = replace(points, shape=(replace(axis, max=axis.max // 2, opt=axis.min), *others))
    specs = (replace(encoder, inputs=(narrow,)), head)
    (check,) = failures(replace(bundle, specs=specs))
    assert check.name == "bundle / ranges of the components"
    assert f"points takes {axis.min} to {axis.max // 2}" in check.message


def test_engines_of_another_file_or_damaged_ones_fail_where_no_other_fits(bundle: ModelBundle) -> None:
    spec = bundle.specs[0]
    cache, target = EngineCache(bundle.folder), EngineTarget("tensorrt", "10.8.0", "RTX 4060", "8.9")
    digest = sha256_file(bundle.folder / spec.onnx_file)

    def store(onnx_sha256: str) -> Path:
        key = EngineKey(spec.name, onnx_sha256, "fp16", {}, target)
        record = cache.store(key, b"engine", "{}", seconds=1.0, details={})
        return bundle.folder / record.path

    store("0" * 64)
    (check,) = failures(bundle)
    assert check.name == f"bundle / engines of {spec.name}"
    assert f"stale, built from another {spec.onnx_file}" in check.message
    good = store(digest)
    assert failures(bundle) == []
    good.write_bytes(b"engin")
    (check,) = failures(bundle)
    assert "corrupt: 5 bytes, recorded 6" in check.message
