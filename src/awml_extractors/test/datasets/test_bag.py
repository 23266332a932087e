from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from awml_deploy_core.errors import BagError, PointCloudError
from awml_deploy_core.pointcloud2 import columns_of
from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC, POINT_XYZIRCAEDT
from awml_extractors.datasets.bag import CloudBag, CloudCursor, list_topics
from awml_extractors.datasets.bag_writer import StampedCloud, write_cloud_bag

pytest.importorskip("rosbags")

TOPIC = "/points"
STORAGES = ["sqlite3", "mcap"]


def clouds(count: int = 3, dtype: np.dtype[np.void] = POINT_XYZIRC) -> list[StampedCloud]:
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        points = np.zeros(10 * i, dtype)
        for name in ("x", "y", "z"):
            points[name] = rng.normal(size=len(points))
        points["intensity"] = rng.integers(0, 256, len(points))
        found.append(StampedCloud(points, 1_700_000_000_000_000_000 + i * 100_000_000, "lidar"))
    return found


def two_topics(path: Path) -> Path:
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    text = store.types["std_msgs/msg/String"]
    with Writer(path, version=8) as writer:
        writer.add_connection("/front", "sensor_msgs/msg/PointCloud2", typestore=store)
        writer.add_connection("/rear", "sensor_msgs/msg/PointCloud2", typestore=store)
        chatter = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
        writer.write(chatter, 1, store.serialize_cdr(text(data="hi"), "std_msgs/msg/String"))
    return path


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dtype", [POINT_XYZIRC, POINT_XYZIRCAEDT], ids=["XYZIRC", "XYZIRCAEDT"])
def test_written_bag_reads_back(storage: str, dtype: np.dtype[np.void], tmp_path: Path) -> None:
    written = clouds(3, dtype)
    assert write_cloud_bag(tmp_path / "bag", iter(written), topic=TOPIC, storage=storage) == 3
    bag = CloudBag.open(tmp_path / "bag")
    assert (bag.topic, bag.count) == (TOPIC, 3)
    found = list(bag)
    assert len(found) == 3
    for i, (cloud, original) in enumerate(zip(found, written, strict=True)):
        assert (cloud.index, cloud.frame_id) == (i, "lidar")
        assert cloud.stamp_ns == cloud.received_ns == original.stamp_ns
        columns = columns_of(cloud.message)
        for name in ("x", "y", "z", "intensity"):
            column = getattr(columns, name)
            np.testing.assert_array_equal(column, original.points[name])
            assert len(column) == 0 or np.shares_memory(column, cloud.message.data)


def test_metadata_is_what_humble_parses(tmp_path: Path) -> None:
    write_cloud_bag(tmp_path / "bag", clouds(), topic=TOPIC)
    metadata = (tmp_path / "bag" / "metadata.yaml").read_text()
    assert "version: 8" in metadata
    assert "offered_qos_profiles: ''" in metadata
    assert [path.name for path in (tmp_path / "bag").glob("*.db3")] == ["bag.db3"]


@pytest.mark.parametrize("storage", STORAGES)
def test_interrupted_writing_leaves_nothing(storage: str, tmp_path: Path) -> None:
    def interrupted():  # type: ignore[no-untyped-def]
        yield from clouds()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cloud_bag(tmp_path / "bag", interrupted(), topic=TOPIC, storage=storage)
    assert list(tmp_path.iterdir()) == []


def test_writer_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    write_cloud_bag(tmp_path / "bag", clouds(), topic=TOPIC)
    with pytest.raises(BagError, match="exists already"):
        write_cloud_bag(tmp_path / "bag", clouds(), topic=TOPIC)
    with pytest.raises(BagError, match="unknown storage; got rosbag1"):
        write_cloud_bag(tmp_path / "other", clouds(), topic=TOPIC, storage="rosbag1")
    with pytest.raises(PointCloudError, match="field t: unknown datatype"):
        write_cloud_bag(
            tmp_path / "other", [StampedCloud(np.zeros(1, [("t", "<u8")]), 0, "a")], topic=TOPIC
        )
    (tmp_path / "file").write_text("")
    with pytest.raises(BagError, match="cannot be written"):
        write_cloud_bag(tmp_path / "file" / "bag", clouds(), topic=TOPIC)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "file"]


def test_topics_are_chosen_or_listed(tmp_path: Path) -> None:
    path = two_topics(tmp_path / "bag")
    assert [(topic.name, topic.count) for topic in list_topics(path)] == [
        ("/chatter", 1),
        ("/front", 0),
        ("/rear", 0),
    ]
    assert CloudBag.open(path, "/rear").topic == "/rear"
    with pytest.raises(
        BagError, match=r"several point cloud topics(.|\n)*/front(.|\n)*/rear(.|\n)*#/front"
    ) as several:
        CloudBag.open(path)
    assert "/chatter" not in str(several.value)
    with pytest.raises(BagError, match=r"no such topic(.|\n)*/chatter \(std_msgs/msg/String, 1 messages\)"):
        CloudBag.open(path, "/top")
    with pytest.raises(BagError, match=r"wrong type; got std_msgs/msg/String"):
        CloudBag.open(path, "/chatter")


def test_what_is_no_bag_is_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no such bag"):
        CloudBag.open(tmp_path / "nowhere")
    with pytest.raises(BagError, match=r"not a rosbag2 folder(.|\n)*reindex"):
        CloudBag.open(tmp_path)
    (tmp_path / "a.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(BagError, match="not a rosbag2; expected"):
        CloudBag.open(tmp_path / "a.bag")
    (tmp_path / "metadata.yaml").write_text("a: [")
    with pytest.raises(BagError, match="cannot be read"):
        CloudBag.open(tmp_path)
    for name in ("a.db3", "a.mcap"):
        for content in (b"", b"something else entirely", bytes(4096)):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(BagError, match="cannot be read"):
                CloudBag.open(tmp_path / name)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_truncated_storage_is_a_bag_error(storage: str, kept: float, tmp_path: Path) -> None:
    write_cloud_bag(tmp_path / "bag", clouds(40), topic=TOPIC, storage=storage)
    (file,) = (path for path in (tmp_path / "bag").iterdir() if path.suffix in (".db3", ".mcap"))
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(BagError):
        list(CloudBag.open(tmp_path / "bag"))


def test_corrupt_message_is_named(tmp_path: Path) -> None:
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    for i, raw in enumerate((b"\0\1\0\0" + bytes(5), b"", b"\0\1\0\0" + b"\xff" * 400)):
        with Writer(tmp_path / f"bag{i}", version=8) as writer:
            connection = writer.add_connection(TOPIC, "sensor_msgs/msg/PointCloud2", typestore=store)
            writer.write(connection, 1, raw)
        with pytest.raises(BagError, match=f"bag{i}#/points: message 0 is corrupt"):
            list(CloudBag.open(tmp_path / f"bag{i}"))


def test_cursor_reads_in_any_order(tmp_path: Path) -> None:
    write_cloud_bag(tmp_path / "bag", clouds(4), topic=TOPIC)
    bag = CloudBag.open(tmp_path / "bag")
    cursor = CloudCursor(bag)
    assert [cursor.read(i).index for i in (0, 1, 3, 3, 0, 2)] == [0, 1, 3, 3, 0, 2]
    with pytest.raises(BagError, match=r"fewer messages than the bag says; got 4"):
        CloudCursor(CloudBag(bag.path, bag.topic, 9)).read(8)


def test_real_bag(assets: Path) -> None:
    bag = CloudBag.open(assets / "bag_kitti_raw")
    found = list(bag)
    assert bag.topic == "/sensing/lidar/points"
    assert len(found) == bag.count == 5
    assert np.diff([cloud.stamp_ns for cloud in found]).tolist() == [100_000_000] * 4
    assert all(len(columns_of(cloud.message)) > 120_000 for cloud in found)
