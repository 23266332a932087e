from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from toy_family import ToyConfig, ToyFamily

from awml_deploy_core.artifacts import Manifest, ModelBundle
from awml_deploy_core.artifacts.references import PRODUCED_BY
from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.config import LoadedConfig
from awml_deploy_core.runner.deployment import DeploymentRunner

in_toy = ToyFamily.component_specs


def nested(family: ToyFamily, config: ToyConfig) -> tuple[ComponentSpec, ...]:
    return tuple(
        dataclasses.replace(spec, onnx_file=f"onnx/{spec.onnx_file}") for spec in in_toy(family, config)
    )


def test_files_in_folders_of_a_bundle_keep_their_provenance(
    loaded: LoadedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyFamily, "component_specs", nested)
    monkeypatch.setattr(
        ToyFamily, "write_bundle_files", lambda _, config, folder: (folder / "onnx").mkdir()
    )
    exported = DeploymentRunner(loaded).export()
    assert [record.file for record in exported] == ["onnx/encoder.onnx", "onnx/head.onnx"]
    for record in Manifest.read(loaded.deploy.bundle).files:
        maker = PRODUCED_BY if record.path.startswith("selftest/") else "torch.onnx.export"
        assert record.produced_by.startswith(maker), record.path


def test_all_backends_of_a_verification_share_one_reading_of_the_bundle(
    loaded: LoadedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = DeploymentRunner(loaded)
    runner.export()
    opened = []
    real = ModelBundle.open

    def counted(folder: Path, *, verify: bool = True) -> ModelBundle:
        opened.append(verify)
        return real(folder, verify=verify)

    monkeypatch.setattr(ModelBundle, "open", counted)
    assert runner.verify().status == "passed"
    assert opened == [True]


def test_a_foreign_bundle_is_warned_of_once(loaded: LoadedConfig, caplog: pytest.LogCaptureFixture) -> None:
    runner = DeploymentRunner(loaded)
    runner.export()
    (loaded.deploy.bundle / "manifest.json").unlink()
    with caplog.at_level("WARNING"):
        assert runner.verify().status == "passed"
    assert sum("foreign bundle" in record.getMessage() for record in caplog.records) == 1


def test_what_no_probe_was_made_for_is_said(loaded: LoadedConfig) -> None:
    runner = DeploymentRunner(loaded)
    runner.export()
    (check,) = [found for found in runner.verify().checks if found.status == "skipped"]
    assert check.message == "model family toy provides no probe"
    assert not check.required


def test_the_frame_that_agrees_least_is_drawn_if_pictures_are_asked_for(
    loaded: LoadedConfig, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    runner = DeploymentRunner(loaded)
    runner.export()
    assert all(not scenario.frames for scenario in runner.verify().scenarios)
    (scenario,) = runner.verify(pictures=tmp_path / "deep" / "pictures").scenarios
    (frame,) = scenario.frames
    assert frame.status == "passed"
    assert "matched one to one" in frame.summary
    assert Path(frame.picture).read_bytes().startswith(b"\x89PNG")
    assert Path(frame.picture).parent == tmp_path / "deep" / "pictures"
