from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made_sweeps import LANDMARK, PERIOD_NS, START_NS, sweep, sweeps

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import DatasetError
from awml_deploy_core.family import Sample
from awml_deploy_lab.simulation.infos import write_infos
from awml_extractors.datasets.infos import open_infos
from awml_extractors.datasets.samples import open_samples


@pytest.fixture(scope="module")
def info_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("infos")
    return write_infos(folder / "set", sweeps(5), "val", max_past_sweeps=3)


def xyz(sample: Sample, sweep_index: int) -> np.ndarray:
    columns = sample.input.sweeps[sweep_index].columns
    return np.stack([columns.x, columns.y, columns.z], axis=1)


def test_samples_are_the_sweeps(info_path: Path) -> None:
    samples = open_samples(str(info_path))
    assert len(samples) == 5
    for i, (sample, original) in enumerate(zip(samples, sweeps(5), strict=True)):
        frame = sample.input
        assert sample.sample_id == f"{i:06d}_{original.stamp_ns}"
        assert (frame.stamp_ns, frame.frame_id, len(frame.sweeps)) == (original.stamp_ns, "base_link", 1)
        assert frame.sweeps[0].transform is None
        np.testing.assert_array_equal(xyz(sample, 0), original.xyz)
        np.testing.assert_array_equal(frame.sweeps[0].columns.intensity, original.intensity)


def test_ground_truth_comes_back_bit_by_bit(info_path: Path) -> None:
    for sample, original in zip(open_samples(str(info_path)), sweeps(5), strict=True):
        found, expected = sample.ground_truth, original.ground_truth
        assert found is not None
        assert found.boxes.class_names == expected.boxes.class_names
        for name in ("centers", "sizes", "yaws", "velocities", "scores", "labels"):
            actual, wanted = getattr(found.boxes, name), getattr(expected.boxes, name)
            assert actual.dtype == wanted.dtype
            np.testing.assert_array_equal(actual, wanted)
        assert np.isnan(found.boxes.velocities).any()
        np.testing.assert_array_equal(found.num_points, expected.num_points)
        np.testing.assert_array_equal(found.track_ids, expected.track_ids)


def test_static_point_coincides_in_all_sweeps(info_path: Path) -> None:
    samples = open_infos(info_path, num_past_sweeps=3)
    assert [len(sample.input.sweeps) for sample in samples] == [1, 2, 3, 4, 4]
    for sample in samples:
        here = xyz(sample, 0)[0]
        for back, past in enumerate(sample.input.sweeps[1:], start=1):
            assert past.time_lag == pytest.approx(0.1 * back, abs=1e-12)
            there = xyz(sample, back)[0]
            assert np.linalg.norm(there - here) > 0.5
            moved = past.transform[:3, :3] @ there + past.transform[:3, 3]
            np.testing.assert_allclose(moved, here, atol=1e-4)


def test_poses_lead_to_the_map(info_path: Path) -> None:
    content = pickle.loads(info_path.read_bytes())
    sample = open_infos(info_path)[2]
    pose = np.array(content["data_list"][2]["ego2global"])
    np.testing.assert_allclose((pose @ [*xyz(sample, 0)[0], 1])[:3], LANDMARK, atol=1e-4)


def test_entries_have_what_mmdetection3d_reads(info_path: Path) -> None:
    content = pickle.loads(info_path.read_bytes())
    assert content["metainfo"]["categories"] == {"CAR": 0, "TRUCK": 1, "PEDESTRIAN": 2}
    entry = content["data_list"][4]
    assert entry["timestamp"] == pytest.approx(entry["stamp_ns"] * 1e-9, abs=1e-6)
    assert entry["lidar_points"]["lidar_path"] == "lidar/val/000004.pcd.bin"
    assert [past["lidar_points"]["lidar_path"][-11:-8] for past in entry["lidar_sweeps"]] == [
        "003",
        "002",
        "001",
    ]
    # From the current cloud to the past one, the inverse of what a frame needs.
    to_past = np.array(entry["lidar_sweeps"][0]["lidar_points"]["lidar2sensor"])
    (_, past) = open_infos(info_path, num_past_sweeps=1)[4].input.sweeps
    np.testing.assert_allclose(to_past @ past.transform, np.eye(4), atol=1e-8)


def test_file_names_no_class_or_function(info_path: Path) -> None:
    class Strict(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            raise AssertionError(f"{module}.{name}")

    with info_path.open("rb") as stream:
        assert len(Strict(stream).load()["data_list"]) == 5


def test_past_sweeps_end_with_the_drive(tmp_path: Path) -> None:
    drives = [*sweeps(2), *sweeps(2), *sweeps(2, start_ns=START_NS + 60 * PERIOD_NS)]
    samples = open_infos(write_infos(tmp_path, drives, "train"), num_past_sweeps=10)
    assert [len(sample.input.sweeps) for sample in samples] == [1, 2, 1, 2, 1, 2]
    entries = samples.info.entries
    assert [entry["scene_token"] for entry in entries] == ["0000", "0000", "0001", "0001", "0002", "0002"]
    assert len({entry["token"] for entry in entries}) == 6


def test_splits_share_a_folder(tmp_path: Path) -> None:
    for name, points in (("train", 11), ("val", 22)):
        write_infos(tmp_path, sweeps(1, points), name)
    assert open_samples(str(tmp_path / "infos_train.pkl"))[0].input.num_points == 11
    assert open_samples(str(tmp_path / "infos_val.pkl"))[0].input.num_points == 22
    with pytest.raises(DatasetError, match=r"infos_val\.pkl: exists already"):
        write_infos(tmp_path, sweeps(1), "val")


def test_sweep_without_boxes_has_empty_ground_truth(tmp_path: Path) -> None:
    (sample,) = open_infos(write_infos(tmp_path, [sweep(START_NS, boxes=0)], "empty"))
    assert sample.ground_truth is not None
    assert len(sample.ground_truth) == 0


def test_what_cannot_be_written_leaves_no_split(tmp_path: Path) -> None:
    def interrupted():  # type: ignore[no-untyped-def]
        yield from sweeps(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_infos(tmp_path, interrupted(), "a")
    with pytest.raises(DatasetError, match="no sweep to write"):
        write_infos(tmp_path, [], "a")
    with pytest.raises(DatasetError, match="sweep 0: has no point"):
        write_infos(tmp_path, sweeps(1, points=0), "a")
    with pytest.raises(DatasetError, match="no plain word"):
        write_infos(tmp_path, sweeps(1), "../a")
    first, second = sweeps(2)
    truth = replace(
        second.ground_truth,
        boxes=Detections.empty(("CAR",)),
        num_points=np.zeros(0, np.int32),
        track_ids=np.zeros(0, np.int32),
    )
    with pytest.raises(DatasetError, match="sweep 1: other classes than before"):
        write_infos(tmp_path, [first, replace(second, ground_truth=truth)], "a")
    assert [path.name for path in tmp_path.rglob("*")] == ["lidar"]
