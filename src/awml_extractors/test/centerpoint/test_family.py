from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from awml_deploy_core.device import CPU
from awml_deploy_core.errors import CheckpointError, ConfigError, ParameterError
from awml_deploy_core.family import available_families, load_family
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.family import CenterPointFamily
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.variants import VARIANTS

SMALL = {"variant": "demo", "point_cloud_range": [-5.12, -5.12, -4.0, 5.12, 5.12, 4.0]}


@pytest.fixture
def family() -> CenterPointFamily:
    return CenterPointFamily()


def test_family_is_installed() -> None:
    assert "centerpoint" in available_families()
    assert load_family("centerpoint").name == "centerpoint"


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_dumped_configuration_is_read_back(family: CenterPointFamily, variant: str) -> None:
    config = family.parse_config({"variant": variant, "has_variance": True})
    assert family.parse_config(json.loads(json.dumps(family.dump_config(config)))) == config


def test_invalid_configuration(family: CenterPointFamily) -> None:
    with pytest.raises(ConfigError):
        family.parse_config({"variant": "demo", "max_voxels": -1})


def test_model_comes_from_the_checkpoint(family: CenterPointFamily, tmp_path: Path) -> None:
    config = family.parse_config(SMALL)
    state = CenterPoint(config).state_dict()
    torch.save({"state_dict": state}, tmp_path / "c.pth")
    model = family.load_model(config, tmp_path / "c.pth")
    assert not model.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [c.spec for c in family.extractor(config).extract(model)] == list(family.component_specs(config))


def test_checkpoint_of_another_variant(family: CenterPointFamily, tmp_path: Path) -> None:
    torch.save(CenterPoint(family.parse_config(SMALL)).state_dict(), tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match="does not fit"):
        family.load_model(CenterPointConfig(), tmp_path / "c.pth")


def test_bundle_files_are_read_back(family: CenterPointFamily, tmp_path: Path) -> None:
    assert family.read_bundle(tmp_path) is None
    config = family.parse_config(SMALL)
    family.write_bundle_files(config, tmp_path)
    read = family.read_bundle(tmp_path)
    assert read is not None
    assert family.component_specs(read) == family.component_specs(config)


def test_pipeline_from_a_cloud_to_detections(family: CenterPointFamily) -> None:
    config = family.parse_config(SMALL)
    components = family.extractor(config).extract(CenterPoint(config))
    backend = load_backend("pytorch")
    sessions = {
        c.spec.name: backend.open_session(
            SessionSource(c.spec, load_module=lambda module=c.module: module), CPU, SessionOptions()
        )
        for c in components
    }
    points = np.random.default_rng(0).uniform(-4.0, 4.0, (500, 4)).astype(np.float32)
    frame = PointCloudFrame.single(PointColumns.from_array(points))
    with family.create_pipeline(config, sessions, {"default_score_threshold": 0.0}) as pipeline:
        result = pipeline.infer(frame)
    assert result.output.class_names == (*config.class_names, "TRAILER")
    assert result.counts["pillars"] > 0
    assert result.latencies.total_ms > 0


def test_options_are_checked_without_sessions(family: CenterPointFamily) -> None:
    config = family.parse_config(SMALL)
    family.check_options(config, {"circle_nms_dist_threshold": 0.5})
    with pytest.raises(ParameterError) as caught:
        family.check_options(config, {"circle_nms_dist": 0.5, "iou_nms_threshold": 2})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "iou_nms_threshold",
        "circle_nms_dist",
    ]


def test_the_manifest_keeps_the_class_remapper(family: CenterPointFamily) -> None:
    dumped = json.loads(json.dumps(family.dump_config(family.parse_config(SMALL))))
    rules = dumped["postprocess"]["class_remapper"]
    assert [(rule["source"], rule["target"]) for rule in rules] == [
        ("CAR", "TRUCK"),
        ("CAR", "TRAILER"),
        ("TRUCK", "TRAILER"),
        ("BUS", "TRAILER"),
    ]


def test_samples_of_a_folder(family: CenterPointFamily, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        np.zeros((5, 4), np.float32).tofile(tmp_path / f"{name}.bin")
    samples = family.open_samples(str(tmp_path), 2)
    assert len(samples) == 2
    assert samples[0].input.num_points == 5


def test_ground_truth_of_an_info_file_is_in_the_classes_of_the_model(
    family: CenterPointFamily, tmp_path: Path
) -> None:
    np.zeros((3, 5), "<f4").tofile(tmp_path / "a.pcd.bin")
    box = {"bbox_3d": [1.0, 2, 3, 4, 5, 6, 0.5]}
    instances = [{**box, "bbox_label_3d": label} for label in range(3)]
    points = {"lidar_path": "a.pcd.bin", "num_pts_feats": 5, "lidar2ego": np.eye(4).tolist()}
    pose = {"timestamp": 1.0, "ego2global": np.eye(4).tolist(), "lidar_points": points}
    past = {**pose, "timestamp": 0.9}
    entries = [{**pose, "lidar_sweeps": [past], "instances": instances}]
    metainfo = {"categories": {"CAR": 0, "motorcycle": 1, "barrier": 2}}
    path = tmp_path / "infos.pkl"
    path.write_bytes(pickle.dumps({"metainfo": metainfo, "data_list": entries}))
    config = family.parse_config(SMALL)
    (sample,) = family.open_samples(str(path), config=config, num_past_sweeps=1)
    assert len(sample.input.sweeps) == 2
    assert sample.ground_truth is not None
    boxes = sample.ground_truth.boxes
    assert boxes.class_names == config.class_names
    assert [boxes.class_names[label] for label in boxes.labels] == ["CAR", "BICYCLE"]
    (mapped,) = family.open_samples(str(path), config=config, class_mapping={"barrier": "BUS"})
    assert mapped.ground_truth is not None
    assert {name for name, n in mapped.ground_truth.boxes.count_by_class().items() if n} == {"BUS"}
