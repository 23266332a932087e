"""A bundle of CenterPoint, verified whole, and defects planted in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.config import load_config
from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import sha256_file
from awml_deploy_core.reporting.verification_result import VerificationRecord
from awml_deploy_core.runner.deployment import DeploymentRunner
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.variants import parse_config

onnx = pytest.importorskip("onnx")

MODEL = """
name: small
model:
  family: centerpoint
  variant: demo
  point_cloud_range: [-10.24, -10.24, -3.0, 10.24, 10.24, 5.0]
  postprocess: {default_score_threshold: 0.45}
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, two clouds, a deploy.yaml and the bundle it makes."""
    folder = tmp_path_factory.mktemp("deployment")
    config = parse_config(
        {"variant": "demo", "point_cloud_range": [-10.24, -10.24, -3.0, 10.24, 10.24, 5.0]}
    )
    torch.manual_seed(0)
    model = CenterPoint(config).eval()
    with torch.no_grad():
        branches = model.pts_bbox_head.task_heads[0]
        branches["heatmap"][-1].weight *= 1000
        branches["heatmap"][-1].bias.fill_(-0.8)
        branches["rot"][-1].bias.copy_(torch.tensor([0.6, 0.8]))
    torch.save({"state_dict": model.state_dict()}, folder / "weights.pth")
    rng = np.random.default_rng(0)
    (folder / "clouds").mkdir()
    for index in range(2):
        points = rng.uniform([-10, -10, -2, 0], [10, 10, 2, 255], (3000, 4)).astype(np.float32)
        np.save(folder / "clouds" / f"cloud{index}.npy", points)
    (folder / "deploy.yaml").write_text(
        MODEL + "checkpoint_path: weights.pth\nwork_dir: out\nverification: {samples: [clouds]}\n"
    )
    DeploymentRunner(load_config(folder / "deploy.yaml")).export()
    return folder


@pytest.fixture
def deployment(exported: Path, tmp_path: Path) -> Path:
    """A copy to plant defects in."""
    shutil.copytree(exported, tmp_path / "copy")
    return tmp_path / "copy"


def verify(folder: Path, *overrides: str) -> VerificationRecord:
    return DeploymentRunner(load_config(folder / "deploy.yaml", overrides)).verify()


def plant(folder: Path, file: str, change: Callable[[Any], None]) -> None:
    """Change a graph and what the manifest says of its file, as a careless tool would."""
    path = folder / "out" / "bundle" / file
    model = onnx.load(str(path))
    change(model)
    onnx.save(model, str(path))
    record = path.parent / "manifest.json"
    manifest = json.loads(record.read_text())
    for item in manifest["files"]:
        if item["path"] == file:
            item |= {"sha256": sha256_file(path), "size": path.stat().st_size}
    record.write_text(json.dumps(manifest))


def weight(model: Any, predicate: Callable[[Any], bool]) -> Any:
    return next(tensor for tensor in model.graph.initializer if predicate(tensor))


def test_a_sound_bundle_passes_on_every_level(exported: Path) -> None:
    record = verify(exported)
    assert record.status == "passed", record.summary
    (scenario,) = record.scenarios
    assert scenario.precision == "fp32"
    assert {tensor.level for tensor in scenario.tensors} == {"component", "chain"}
    assert scenario.boxes is not None
    assert scenario.boxes.matched > 10
    assert scenario.boxes.coverage == 1.0
    assert set(scenario.level_seconds) == {"inference", "component", "chain", "boxes", "repeat"}
    names = [check.name for check in record.checks]
    assert "bundle / checkpoint" in names
    assert "probe / boxes, decoder mmdet3d / bundle on cpu" in names
    assert "probe / boxes of an extracted head / bundle on cpu" in names
    assert any("files of the vehicle's node" in name for name in names)


def test_a_perturbed_weight_is_found_by_name(deployment: Path) -> None:
    changed = []

    def perturb(model: Any) -> None:
        from onnx import numpy_helper

        found = weight(model, lambda tensor: len(tensor.dims) == 4 and tensor.dims[0] == 64)
        values = numpy_helper.to_array(found).copy()
        values[3] *= 1.1
        found.CopyFrom(numpy_helper.from_array(values, found.name))
        changed.append(found.name)

    plant(deployment, "pts_backbone_neck_head.onnx", perturb)
    record = verify(deployment, "verification.levels=[component]")
    assert record.status == "failed"
    (scenario,) = record.scenarios
    (found,) = scenario.bisections
    assert found.changed_weights == tuple(changed)
    assert found.op_type == "Conv"
    assert "component alone" in str(scenario.first_divergence)


def test_another_convention_in_the_file_is_refused_at_opening(deployment: Path) -> None:
    def flip(model: Any) -> None:
        for item in model.metadata_props:
            if item.key == "head_rot_encoding":
                item.value = "sin_cos"

    plant(deployment, "pts_backbone_neck_head.onnx", flip)
    with pytest.raises(ArtifactError) as error:
        ModelBundle.open(deployment / "out" / "bundle")
    assert "head_rot_encoding is 'sin_cos', the configuration says 'neg_cos_neg_sin'" in str(error.value)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("model.postprocess.default_score_threshold=0.3", "postprocess"),
        ("model.class_names=[CAR,BUS,TRUCK,BICYCLE,PEDESTRIAN]", "class_names"),
        ("model.head_convention.dim_order=lwh", "head_convention"),
        ("model.max_points_per_voxel=20", "max_points_per_voxel"),
    ],
)
def test_a_bundle_of_other_settings_fails_by_key_and_by_probe(
    exported: Path, setting: str, key: str
) -> None:
    extra = ["model.head_convention.rot_encoding=neg_cos_neg_sin"] if "convention" in setting else []
    record = verify(exported, setting, *extra, "verification.levels=[probe]")
    assert record.status == "failed"
    settings = next(check for check in record.checks if check.name == "bundle / model settings")
    assert settings.details["keys"] == [key]
    assert any(check.status == "failed" and "probe" in check.name for check in record.checks)


def test_another_checkpoint_is_named_before_the_tensors_differ(deployment: Path) -> None:
    weights = torch.load(deployment / "weights.pth")
    weights["state_dict"]["pts_bbox_head.task_heads.0.heatmap.1.bias"] += 0.1
    torch.save(weights, deployment / "weights.pth")
    record = verify(deployment, "verification.bisect=false")
    assert record.status == "failed"
    failed = [check.name for check in record.checks if check.status == "failed"]
    assert failed == ["bundle / checkpoint"]
    (scenario,) = record.scenarios
    assert "heatmap (component alone)" in str(scenario.first_divergence)


def test_without_a_sample_level_the_probes_still_count(exported: Path) -> None:
    record = verify(exported, "verification.levels=[probe]")
    assert record.status == "passed"
    assert not record.scenarios
