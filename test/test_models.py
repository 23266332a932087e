"""The shipped models: weights, graphs, metrics and card belong together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.cli.main import main
from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import sha256_file
from awml_deploy_core.runner.pipelines import open_pipeline
from awml_deploy_lab.evaluation.held_out import held_out_frames
from awml_deploy_lab.evaluation.model_card import CARD, card_of

MODELS = sorted(path.parent for path in (ROOT / "models").glob(f"*/{CARD}"))
SIZE_LIMIT = 16_000_000
"""Bytes."""


def test_there_are_models_and_they_are_small() -> None:
    assert [folder.name for folder in MODELS] == ["centerpoint_base", "centerpoint_demo"]
    size = sum(path.stat().st_size for path in (ROOT / "models").rglob("*") if path.is_file())
    assert size < SIZE_LIMIT


@pytest.mark.parametrize("folder", MODELS, ids=[folder.name for folder in MODELS])
def test_the_card_is_that_of_the_files(folder: Path) -> None:
    assert (folder / CARD).read_text(encoding="utf-8") == card_of(folder)


def test_the_bundle_was_exported_from_the_checkpoint() -> None:
    folder = ROOT / "models" / "centerpoint_demo"
    manifest = ModelBundle.open(folder / "bundle").manifest
    assert manifest is not None
    assert manifest.provenance.checkpoint is not None
    assert manifest.provenance.checkpoint.sha256 == sha256_file(folder / "checkpoint.pth")


def test_the_base_model_is_exported_by_its_configuration_and_detects(tmp_path: Path) -> None:
    config = ROOT / "config" / "centerpoint" / "base.deploy.yaml"
    assert main(["export", str(config), "--set", f"work_dir={tmp_path}"]) == ExitCode.PASSED
    _, frame, sweep = next(iter(held_out_frames(1, past_sweeps=1)))
    with open_pipeline(tmp_path / "bundle", "onnxruntime", "cpu") as pipeline:
        found = pipeline.infer(frame).output
    close = np.linalg.norm(sweep.ground_truth.boxes.centers[:, :2], axis=1) < 25.0
    seen = close & (sweep.ground_truth.num_points > 100)
    distances = np.linalg.norm(
        sweep.ground_truth.boxes.centers[seen, None, :2] - found.centers[None, :, :2], axis=2
    )
    assert seen.sum() > 3
    assert (distances.min(axis=1) < 1.0).mean() > 0.7


def test_another_graph_or_other_weights_are_found_out(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ROOT / "models" / "centerpoint_demo", folder)
    metrics = folder / "evaluation" / "held_out.json"
    content = json.loads(metrics.read_text())
    content["metrics"]["mean_ap"] = 0.99
    metrics.write_text(json.dumps(content))
    assert card_of(folder) != (folder / CARD).read_text(encoding="utf-8")
    graph = folder / "bundle" / "pts_voxel_encoder.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(ArtifactError, match=r"another pts_voxel_encoder\.onnx"):
        card_of(folder)


def test_an_export_from_the_checkpoint_detects_what_the_shipped_bundle_detects(bundle: Path) -> None:
    """Other versions of torch may write another graph, but not another model."""
    frames = [frame for _, frame, _ in held_out_frames(2, past_sweeps=1)]
    found = []
    for path in (ROOT / "models" / "centerpoint_demo" / "bundle", bundle):
        with open_pipeline(path, "onnxruntime", "cpu") as pipeline:
            found.append([pipeline.infer(frame).output for frame in frames])
    for shipped, exported in zip(*found, strict=True):
        assert len(shipped) > 5
        np.testing.assert_allclose(exported.centers, shipped.centers, atol=1e-3)
        np.testing.assert_allclose(exported.scores, shipped.scores, atol=1e-4)
        np.testing.assert_array_equal(exported.labels, shipped.labels)
