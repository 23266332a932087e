from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from random_clouds import FRAME_ID, random_cloud

from awml_deploy_core.errors import BagError, DatasetError, PointCloudError
from awml_extractors.datasets.bag_writer import write_cloud_bag
from awml_extractors.datasets.samples import Source, open_samples

KITTI = np.array([[1, 2, 3, 0.5]], "<f4")
NUSCENES = np.array([[1, 2, 3, 100, 4]], "<f4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("9.bin", "10.bin", "2.bin"):
        (tmp_path / name).write_bytes(KITTI.tobytes())
    (tmp_path / "notes.txt").write_text("not a cloud")
    (tmp_path / "deeper").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("rosbags")
    path = tmp_path_factory.mktemp("bags") / "bag"
    write_cloud_bag(path, (random_cloud(index) for index in range(3)), topic="/points")
    return path


def test_folder_is_read_in_natural_order(folder: Path) -> None:
    samples = open_samples(str(folder))
    assert [sample.sample_id for sample in samples] == ["2", "9", "10"]
    assert [sample.sample_id for sample in open_samples(str(folder), limit=2)] == ["2", "9"]
    assert [sample.sample_id for sample in samples[1:]] == ["9", "10"]
    assert samples[-1].sample_id == "10"
    assert samples[0].input.num_points == 1
    with pytest.raises(IndexError):
        samples[3]


def test_files_load_when_indexed(folder: Path) -> None:
    (folder / "9.bin").write_bytes(b"cut")
    samples = open_samples(str(folder))
    assert samples[0].sample_id == "2"
    with pytest.raises(DatasetError, match=r"9\.bin: not a whole number"):
        samples[1]


def test_ending_decides_between_kitti_and_nuscenes(tmp_path: Path) -> None:
    (tmp_path / "a.pcd.bin").write_bytes(NUSCENES.tobytes())
    (tmp_path / "b.bin").write_bytes(NUSCENES.tobytes())
    sample = open_samples(str(tmp_path / "a.pcd.bin"))[0]
    assert sample.sample_id == "a"
    assert sample.input.sweeps[0].columns.intensity[0] == 100
    with pytest.raises(DatasetError):
        open_samples(str(tmp_path / "b.bin"))[0]
    sample = open_samples(f"{tmp_path / 'b.bin'}?format=nuscenes")[0]
    assert sample.sample_id == "b"
    assert sample.input.sweeps[0].columns.intensity[0] == 100


def test_mixed_folder_needs_a_format(folder: Path) -> None:
    np.save(folder / "a.npy", KITTI)
    with pytest.raises(DatasetError, match=r"several formats; got 1 npy, 3 kitti(.|\n)*\?format=npy"):
        open_samples(str(folder))
    assert [sample.sample_id for sample in open_samples(f"{folder}?format=npy")] == ["a"]


def test_folder_of_one_ending_can_be_read_as_another_format(tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(NUSCENES.tobytes())
    assert open_samples(f"{tmp_path}?format=nuscenes")[0].input.num_points == 1


def test_bag_is_a_sequence_of_stamped_frames(bag: Path) -> None:
    samples = open_samples(str(bag))
    assert len(samples) == 3
    first, last = samples[0], samples[-1]
    assert first.sample_id == "000000_1700000000000000000"
    assert last.input.stamp_ns - first.input.stamp_ns == 200_000_000
    assert first.input.frame_id == FRAME_ID
    expected = random_cloud(0).points
    np.testing.assert_array_equal(samples[0].input.sweeps[0].columns.x, expected["x"])
    assert [sample.sample_id for sample in samples] == [samples[i].sample_id for i in range(3)]
    assert samples[1:][0].sample_id == samples[1].sample_id
    with pytest.raises(IndexError):
        samples[3]


def test_bag_sources_may_name_topic_and_file(bag: Path) -> None:
    assert len(open_samples(f"{bag}#/points", limit=2)) == 2
    assert len(open_samples(str(bag / "bag.db3"))) == 3
    with pytest.raises(BagError, match="no such topic"):
        open_samples(f"{bag}#/other")


def test_bad_sources_are_named(folder: Path) -> None:
    with pytest.raises(DatasetError, match="no such file or folder"):
        open_samples(str(folder / "nowhere"))
    with pytest.raises(DatasetError, match="no cloud file in the folder"):
        open_samples(str(folder / "deeper"))
    with pytest.raises(DatasetError, match=r"unknown kind of cloud file; got \.txt"):
        open_samples(str(folder / "notes.txt"))
    with pytest.raises(DatasetError, match=r"unknown option; got \?format=laz"):
        open_samples(f"{folder}?format=laz")
    with pytest.raises(DatasetError, match="limit is not positive"):
        open_samples(str(folder), limit=0)


def test_a_folder_that_is_no_bag_has_no_topics(folder: Path) -> None:
    pytest.importorskip("rosbags")
    with pytest.raises(BagError, match="not a rosbag2"):
        open_samples(f"{folder}#/points")


def test_bag_without_messages_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    write_cloud_bag(tmp_path / "bag", [], topic="/points")
    with pytest.raises(BagError, match="topic has no messages"):
        open_samples(str(tmp_path / "bag"))


def test_path_that_exists_is_taken_as_it_is(tmp_path: Path) -> None:
    odd = tmp_path / "run#1?format=x"
    odd.mkdir()
    assert Source.parse(str(odd)) == Source(odd)
    assert Source.parse("bag#/a/b") == Source(Path("bag"), "/a/b")
    assert Source.parse("a?format=npy") == Source(Path("a"), None, "npy")


def test_malformed_cloud_in_a_file_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((3, 4), np.inf))
    with pytest.raises(PointCloudError, match=r"a\.npy: no point has finite"):
        open_samples(str(tmp_path / "a.npy"))[0]


def test_a_source_that_the_system_refuses_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read; got File name too long"):
        open_samples(str(tmp_path / ("a" * 300)))
