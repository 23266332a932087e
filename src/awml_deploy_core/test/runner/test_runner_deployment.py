from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from toy_family import ToyConfig, ToyFamily, write_checkpoint

from awml_deploy_core.artifacts import Manifest
from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.config import load_mapping
from awml_deploy_core.runner.deployment import DeploymentRunner

in_toy = ToyFamily.component_specs


def nested(family: ToyFamily, config: ToyConfig) -> tuple[ComponentSpec, ...]:
    return tuple(
        dataclasses.replace(spec, onnx_file=f"onnx/{spec.onnx_file}") for spec in in_toy(family, config)
    )


@pytest.mark.usefixtures("toy")
def test_files_in_folders_of_a_bundle_keep_their_provenance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyFamily, "component_specs", nested)
    monkeypatch.setattr(
        ToyFamily, "write_bundle_files", lambda _, config, folder: (folder / "onnx").mkdir()
    )
    write_checkpoint(tmp_path / "weights.pth")
    content = {
        "name": "demo",
        "model": {"family": "toy"},
        "checkpoint_path": "weights.pth",
        "work_dir": "out",
        "export": {"onnx": {"simplify": False, "graph_capture": "torchscript"}},
    }
    loaded = load_mapping(content, tmp_path)
    exported = DeploymentRunner(loaded).export()
    assert [record.file for record in exported] == ["onnx/encoder.onnx", "onnx/head.onnx"]
    for record in Manifest.read(loaded.deploy.bundle).files:
        assert record.produced_by.startswith("torch.onnx.export"), record.path
