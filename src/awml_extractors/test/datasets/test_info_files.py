from __future__ import annotations

import copy
import math
import pickle
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damaged_bags import damaged
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.errors import DatasetError, PointCloudError
from awml_extractors.datasets.info_file import AUTOWARE_CLASSES, InfoFile
from awml_extractors.datasets.infos import ground_truth_by_stamp, open_infos
from awml_extractors.datasets.samples import Source, open_samples

MODEL_CLASSES = ("CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN")
POINTS = np.array([[1, 2, 3, 100, 4], [5, 6, 7, 200, 0]], "<f4")
CATEGORIES = {"car": 0, "barrier": 1, "animal": -1}


def pose(x: float, heading: float = 0.0) -> list[list[float]]:
    cos, sin = math.cos(heading), math.sin(heading)
    return [[cos, -sin, 0, x], [sin, cos, 0, 2 * x], [0, 0, 1, 0.5], [0, 0, 0, 1]]


def instance(label: int = 0, **changes: Any) -> dict[str, Any]:
    found = {"bbox_3d": [1.0, 2, 3, 4, 5, 6, 0.5], "bbox_label_3d": label, "velocity": [1.0, 2.0]}
    return {**found, "num_lidar_pts": 9, "track_id": 11, **changes}


def entry(**changes: Any) -> dict[str, Any]:
    past = {
        "timestamp": 99.9,
        "ego2global": pose(10.0, 0.1),
        # What AWML wrote there: not the mounting, but the whole transform.
        "lidar_points": {"lidar_path": "old/b.pcd.bin", "lidar2ego": np.eye(4)},
    }
    return {
        "timestamp": 100.0,
        "ego2global": pose(11.0, 0.2),
        "lidar_points": {"lidar_path": "a.pcd.bin", "num_pts_feats": 5, "lidar2ego": pose(0.7, 1.5)},
        "lidar_sweeps": [past],
        "instances": [instance(0), instance(1), instance(-1)],
        **changes,
    }


def write(folder: Path, *entries: Any, name: str = "infos.pkl", **metainfo: Any) -> Path:
    for file in ("a.pcd.bin", "b.pcd.bin"):
        (folder / file).write_bytes(POINTS.tobytes())
    content = {"metainfo": metainfo or {"categories": CATEGORIES}, "data_list": list(entries)}
    (folder / name).write_bytes(pickle.dumps(content))
    return folder / name


def test_entry_becomes_a_sample(tmp_path: Path) -> None:
    (sample,) = open_samples(str(write(tmp_path, entry())), num_past_sweeps=2)
    assert sample.sample_id == "000000_100000000000"
    assert (sample.input.frame_id, sample.input.stamp_ns) == ("", 100_000_000_000)
    now, past = sample.input.sweeps
    assert (now.time_lag, now.transform) == (0, None)
    assert past.time_lag == pytest.approx(0.1)
    mounting = np.array(pose(0.7, 1.5))
    expected = np.linalg.inv(np.array(pose(11, 0.2)) @ mounting) @ pose(10, 0.1) @ mounting
    np.testing.assert_allclose(past.transform, expected, atol=1e-12)
    truth = sample.ground_truth
    assert truth is not None
    assert truth.boxes.class_names == ("car", "barrier")
    np.testing.assert_array_equal(truth.boxes.labels, [0, 1])
    np.testing.assert_array_equal(truth.boxes.centers, [[1, 2, 3]] * 2)
    np.testing.assert_array_equal(truth.boxes.sizes, [[4, 5, 6]] * 2)
    np.testing.assert_array_equal(truth.boxes.velocities, [[1, 2]] * 2)
    np.testing.assert_array_equal(truth.num_points, [9, 9])
    np.testing.assert_array_equal(truth.track_ids, [11, 11])


def test_classes_are_mapped_and_the_rest_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, entry())
    samples = open_infos(path, class_mapping=AUTOWARE_CLASSES, class_names=MODEL_CLASSES)
    truth = samples[0].ground_truth
    assert truth is not None
    assert truth.boxes.class_names == MODEL_CLASSES
    np.testing.assert_array_equal(truth.boxes.labels, [0])
    assert samples.classes.left_out == ("barrier", "animal")
    by_name = open_infos(path, class_names=("barrier", "dog"))
    assert by_name[0].ground_truth.boxes.count_by_class() == {"barrier": 1, "dog": 0}  # type: ignore[union-attr]
    with pytest.raises(DatasetError, match="no category is one of the model's classes"):
        open_infos(path, class_mapping={"car": "Car"}, class_names=["CAR"])
    with pytest.raises(DatasetError, match="no category is one of the model's classes; got car, barrier"):
        open_infos(path, class_names=MODEL_CLASSES)


def test_list_of_classes_as_awml_writes_it(tmp_path: Path) -> None:
    for classes in (["car", "truck"], ("car", "truck"), np.array(["car", "truck"])):
        path = write(tmp_path, entry(), classes=classes, version="x2")
        assert InfoFile.read(path).categories == {"car": 0, "truck": 1}


def test_what_is_unknown_is_marked(tmp_path: Path) -> None:
    bare = {"bbox_3d": [0.0, 0, 0, 1, 1, 1, 0], "bbox_label": 0}
    wide = {**bare, "bbox_3d": [0.0, 0, 0, 1, 1, 1, 0, 3, 4]}
    (sample,) = open_infos(write(tmp_path, entry(instances=[bare, wide])))
    truth = sample.ground_truth
    assert truth is not None
    np.testing.assert_array_equal(truth.num_points, [-1, -1])
    np.testing.assert_array_equal(truth.track_ids, [-1, -1])
    np.testing.assert_array_equal(truth.boxes.velocities, [[np.nan, np.nan], [3, 4]])
    assert open_infos(write(tmp_path, entry(instances=None)))[0].ground_truth is None
    assert len(open_infos(write(tmp_path, entry(instances=[])))[0].ground_truth) == 0  # type: ignore[arg-type]


@given(st.floats(-50, 50))
@settings(max_examples=50, deadline=None)
def test_headings_are_wrapped(tmp_path_factory: pytest.TempPathFactory, yaw: float) -> None:
    folder = tmp_path_factory.getbasetemp()
    box = instance(bbox_3d=[0.0, 0, 0, 1, 1, 1, yaw])
    (sample,) = open_infos(write(folder, entry(instances=[box])))
    found = float(sample.ground_truth.boxes.yaws[0])  # type: ignore[union-attr]
    assert -math.pi - 1e-6 < found <= math.pi + 1e-6
    assert math.cos(found - yaw) == pytest.approx(1, abs=1e-6)
    if -math.pi < yaw <= math.pi:
        assert found == np.float32(yaw)


def test_past_sweep_without_pose_uses_its_own_transform(tmp_path: Path) -> None:
    changed = entry()
    past = changed["lidar_sweeps"][0]
    del past["ego2global"]
    past["lidar_points"]["lidar2sensor"] = pose(3.0, 0.3)
    (_, found) = open_infos(write(tmp_path, changed), num_past_sweeps=1)[0].input.sweeps
    np.testing.assert_allclose(found.transform @ np.array(pose(3.0, 0.3)), np.eye(4), atol=1e-12)
    del past["lidar_points"]["lidar2sensor"]
    with pytest.raises(DatasetError, match=r"lidar_sweeps\[0\]\.ego2global: is missing"):
        open_infos(write(tmp_path, changed), num_past_sweeps=1)[0]


@pytest.mark.parametrize("folder", ["", "deep/er", "samples/LIDAR_TOP", "sweeps/LIDAR_TOP"])
def test_clouds_are_found_below_the_data_root(folder: str, tmp_path: Path) -> None:
    written = "deep/er/a.pcd.bin" if folder == "deep/er" else "elsewhere/a.pcd.bin"
    info = entry(lidar_points={"lidar_path": written, "num_pts_feats": 5, "lidar2ego": pose(0)})
    path = write(tmp_path, info)
    (tmp_path / "a.pcd.bin").unlink()
    target = tmp_path / "data" / folder
    target.mkdir(parents=True)
    (target / "a.pcd.bin").write_bytes(POINTS.tobytes())
    with pytest.raises(DatasetError, match=r"data_list\[0\]\.lidar_points\.lidar_path: no such cloud file"):
        open_samples(str(path))[0]
    assert open_samples(f"{path}?root=data")[0].input.num_points == 2
    (sample,) = open_samples(f"{path}?root={tmp_path / 'data'}")
    assert sample.input.num_points == 2


def test_source_of_an_info_file(tmp_path: Path) -> None:
    path = write(tmp_path, entry(), entry(timestamp=100.1))
    assert len(open_samples(str(path), limit=1)) == 1
    assert open_samples(str(path))[1:][0].sample_id == "000001_100100000000"
    assert Source.parse("a.pkl?root=/data") == Source(Path("a.pkl"), root=Path("/data"))
    with pytest.raises(DatasetError, match="unknown option"):
        Source.parse("a.bin?root=/data")
    with pytest.raises(DatasetError, match="number of past sweeps is negative"):
        open_infos(path, num_past_sweeps=-1)
    # A folder of clouds stays one, whatever info file lies in it.
    assert [sample.sample_id for sample in open_samples(str(tmp_path))] == ["a", "b"]


def test_stamps_are_exact_where_the_file_has_them(tmp_path: Path) -> None:
    stamp_ns = 1_700_000_000_123_456_789
    exact = entry(timestamp=stamp_ns * 1e-9, stamp_ns=stamp_ns)
    rounded = entry(timestamp=(stamp_ns + 10**8) * 1e-9)
    path = write(tmp_path, exact, rounded)
    assert [sample.input.stamp_ns for sample in open_infos(path)] == [stamp_ns, 1_700_000_000_223_457_000]
    assert list(ground_truth_by_stamp(path)) == [stamp_ns, 1_700_000_000_223_457_000]
    with pytest.raises(DatasetError, match=r"data_list\[1\]: stamp of an earlier sample"):
        ground_truth_by_stamp(write(tmp_path, exact, exact))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"timestamp": None}, r"data_list\[1\]\.timestamp: is missing"),
        ({"timestamp": "now"}, r"data_list\[1\]\.timestamp: not a time; got 'now'"),
        ({"stamp_ns": 1.5}, r"\.stamp_ns: not a time"),
        ({"ego2global": [[1, 2], [3]]}, r"\.ego2global: not an array of numbers"),
        ({"ego2global": np.eye(3).tolist()}, r"\.ego2global: wrong shape \[3, 3\]"),
        ({"ego2global": (2 * np.eye(4)).tolist()}, r"\.ego2global: not a rigid transform"),
        ({"lidar_points": 3}, r"\.lidar_points: not a mapping; got 3"),
        ({"lidar_points": {"num_pts_feats": 5}}, r"\.lidar_points\.lidar_path: is missing"),
        ({"lidar_points": {"lidar_path": "c.bin"}}, r"\.lidar_path: no such cloud file; got c\.bin"),
        ({"lidar_points": {"lidar_path": "c" * 999}}, r"\.lidar_path: no such cloud file"),
        (
            {"lidar_points": {"lidar_path": "a.pcd.bin", "num_pts_feats": 2}},
            r"\.num_pts_feats: not a whole number in range; got 2; expected a whole number from 4",
        ),
        ({"lidar_points": {"lidar_path": "a.pcd.bin", "num_pts_feats": 7}}, "not a whole number of points"),
        ({"lidar_sweeps": {}}, r"\.lidar_sweeps: not a list"),
        ({"lidar_sweeps": [3]}, r"\.lidar_sweeps\[0\]: not a mapping"),
        ({"instances": "all"}, r"\.instances: not a list"),
        ({"instances": [instance(), 3]}, r"\.instances\[1\]: not a mapping"),
        ({"instances": [instance(bbox_3d=None)]}, r"\.instances\[0\]\.bbox_3d: is missing"),
        ({"instances": [instance(bbox_3d=[1, 2])]}, r"\.bbox_3d: wrong shape \[2\]"),
        ({"instances": [instance(bbox_3d=[1, 2, 3, 4, 0, 6, 7])]}, r"\.bbox_3d: no box"),
        ({"instances": [instance(bbox_3d=[1, 2, math.nan, 4, 5, 6, 7])]}, r"\.bbox_3d: no box"),
        ({"instances": [instance(bbox_3d=[1, 2, 1e300, 4, 5, 6, 7])]}, r"\.bbox_3d: no box"),
        ({"instances": [instance("car")]}, r"\.bbox_label_3d: not a whole number in range; got 'car'"),
        ({"instances": [instance(num_lidar_pts=2**40)]}, r"\.num_lidar_pts: not a whole number in range"),
        ({"instances": [instance(velocity=[1e30, 2])]}, r"\.velocity: no velocity"),
        ({"instances": [instance(velocity=[1, 2, 3, 4])]}, r"\.velocity: wrong shape \[4\]"),
    ],
)
def test_malformed_entry_is_named_by_index_and_key(change: Any, problem: str, tmp_path: Path) -> None:
    samples = open_infos(write(tmp_path, entry(), entry(**change)), num_past_sweeps=1)
    assert samples[0].input.num_points == 4
    with pytest.raises(DatasetError, match=problem):
        samples[1]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "not a mapping"),
        ({"infos": [], "metadata": {}}, "no info file; got keys"),
        ({"metainfo": {}, "data_list": []}, r"metainfo\.categories: is missing"),
        ({"metainfo": {"categories": CATEGORIES}, "data_list": {}}, "data_list: not a list"),
        ({"metainfo": {"categories": CATEGORIES}, "data_list": []}, "no sample in the info file"),
        ({"metainfo": {"categories": {"a": 0, "b": 0}}, "data_list": []}, "no table of categories"),
        ({"metainfo": {"categories": {"a": "b"}}, "data_list": []}, r"categories\.a: not a whole number"),
        ({"metainfo": {"dataset": "KITTI", "categories": {}}, "data_list": []}, "other box conventions"),
    ],
)
def test_what_is_no_info_file_is_refused(content: Any, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(DatasetError, match=problem):
        open_infos(path)


def test_cloud_without_finite_point_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, entry())
    (tmp_path / "a.pcd.bin").write_bytes(np.full((2, 5), np.nan, "<f4").tobytes())
    with pytest.raises(PointCloudError, match="no point has finite coordinates"):
        open_infos(path)[0]


@pytest.mark.parametrize("seed", range(150))
def test_damaged_file_is_read_or_refused(seed: int, tmp_path: Path) -> None:
    path = write(tmp_path, entry(), copy.deepcopy(entry()))
    path.write_bytes(damaged(path.read_bytes(), seed))
    with suppress(DatasetError, PointCloudError):
        samples = open_infos(path, num_past_sweeps=1)
        samples[random.Random(seed).randrange(len(samples))]


def points_in_boxes(sample: Any, lift: float = 0.0) -> np.ndarray:
    """Points inside every box, each moved up by ``lift`` of its height."""
    columns, boxes = sample.input.sweeps[0].columns, sample.ground_truth.boxes
    points = np.stack([columns.x, columns.y, columns.z], axis=1).astype(np.float64)
    counts = []
    for center, size, yaw in zip(boxes.centers, boxes.sizes, boxes.yaws, strict=True):
        x, y, z = (points - center).T
        cos, sin = math.cos(yaw), math.sin(yaw)
        local = np.stack([cos * x + sin * y, cos * y - sin * x, z - lift * size[2]], axis=1)
        counts.append((np.abs(local) <= size / 2).all(axis=1).sum())
    return np.array(counts)


def test_real_nuscenes_file(assets: Path) -> None:
    (path,) = (assets / "nuscenes").glob("*.pkl")
    (sample,) = open_samples(str(path))
    assert sample.sample_id == "000000_1532402927647951000"
    assert sample.input.num_points == 34_688
    truth = sample.ground_truth
    assert truth is not None
    # Of 69 instances, one has a category that the converter ignored.
    assert len(truth) == 68
    assert truth.boxes.count_by_class()["pedestrian"] == 30
    assert (truth.track_ids == -1).all()
    # That z is of the centre shows in how many boxes hold as many points as the file says.
    agree = [int((points_in_boxes(sample, lift) == truth.num_points).sum()) for lift in (0, 0.5, -0.5)]
    assert agree[0] >= 60 > 30 > max(agree[1:])


def test_real_nuscenes_file_for_a_model_of_autoware(assets: Path) -> None:
    (path,) = (assets / "nuscenes").glob("*.pkl")
    samples = open_infos(path, class_mapping=AUTOWARE_CLASSES, class_names=MODEL_CLASSES)
    assert samples[0].ground_truth.boxes.count_by_class() == {  # type: ignore[union-attr]
        "CAR": 8,
        "TRUCK": 3,
        "BUS": 1,
        "BICYCLE": 1,
        "PEDESTRIAN": 30,
    }
    assert samples.classes.left_out == ("traffic_cone", "barrier")


@pytest.mark.parametrize("seed", range(20))
def test_damaged_real_file_is_read_or_refused(seed: int, assets: Path, tmp_path: Path) -> None:
    (path,) = (assets / "nuscenes").glob("*.pkl")
    (tmp_path / "a.pkl").write_bytes(damaged(path.read_bytes(), seed))
    with suppress(DatasetError, PointCloudError):
        open_infos(tmp_path / "a.pkl", data_root=path.parent)[0]
