from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made_sweeps import (
    CLASS_NAMES,
    LIDAR_TO_BASE,
    PERIOD_NS,
    SPEED,
    START_NS,
    YAW_RATE,
    pose_at,
    sweep,
    sweeps,
)

from awml_deploy_core.errors import ArtifactError, BagError, DatasetError
from awml_deploy_core.pointcloud2 import columns_of
from awml_deploy_lab.simulation import infos as infos_module
from awml_deploy_lab.simulation.bag import BagLayout, write_simulated_bag
from awml_deploy_lab.simulation.sweep import SimulatedSweep
from awml_extractors.datasets.infos import ground_truth_by_stamp
from awml_extractors.datasets.samples import open_samples

pytest.importorskip("rosbags")

CLOUDS = "/sensing/lidar/concatenated/pointcloud"
RAW = "/sensing/lidar/top/pointcloud_raw_ex"
ODOMETRY = "/localization/kinematic_state"


def messages(path: Path) -> list[tuple[str, int, Any]]:
    """Topic, time of reception [ns] and message of everything in a bag, as the reader gives it."""
    from rosbags.rosbag2 import Reader
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    with Reader(path) as reader:
        return [
            (connection.topic, stamp, store.deserialize_cdr(raw, connection.msgtype))
            for connection, stamp, raw in reader.messages()
        ]


def stamp_of(message: Any) -> int:
    header = message.transforms[0].header if hasattr(message, "transforms") else message.header
    return int(header.stamp.sec * 1_000_000_000 + header.stamp.nanosec)


def matrix_of(translation: Any, rotation: Any) -> np.ndarray:
    x, y, z, w = rotation.x, rotation.y, rotation.z, rotation.w
    assert x * x + y * y + z * z + w * w == pytest.approx(1.0, abs=1e-12)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation.x, translation.y, translation.z
    return matrix


@pytest.fixture(scope="module", params=["sqlite3", "mcap"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "drive"
    counts = write_simulated_bag(path, sweeps(3), pose_at, raw=True, storage=request.param)
    assert counts[CLOUDS] == counts[RAW] == 3
    assert counts["/tf_static"] == 1
    assert counts["/tf"] == counts[ODOMETRY]
    return path


def test_messages_are_in_order_of_reception(recorded: Path) -> None:
    found = messages(recorded)
    times = [time for _, time, _ in found]
    assert times == sorted(times)
    assert found[0][0] == "/tf_static"
    for topic, time, message in found:
        delay = 100_000_000 if topic in (CLOUDS, RAW) else 0
        assert time - stamp_of(message) == delay


def test_poses_cover_the_drive_at_the_rate_of_an_imu(recorded: Path) -> None:
    for topic in ("/tf", ODOMETRY):
        stamps = [stamp_of(message) for name, _, message in messages(recorded) if name == topic]
        assert set(np.diff(stamps)) == {10_000_000}
        assert stamps[0] <= START_NS - 300_000_000
        assert stamps[-1] > START_NS + 2 * PERIOD_NS + 300_000_000


def test_transforms_are_the_poses(recorded: Path) -> None:
    for topic, _, message in messages(recorded):
        if topic not in ("/tf", "/tf_static"):
            continue
        (stamped,) = message.transforms
        found = matrix_of(stamped.transform.translation, stamped.transform.rotation)
        if topic == "/tf":
            assert (stamped.header.frame_id, stamped.child_frame_id) == ("map", "base_link")
            np.testing.assert_allclose(found, pose_at(stamp_of(message)), atol=1e-9)
        else:
            assert (stamped.header.frame_id, stamped.child_frame_id) == ("base_link", "lidar_top")
            np.testing.assert_allclose(found, LIDAR_TO_BASE, atol=1e-12)


def test_odometry_is_pose_and_velocity_of_the_vehicle(recorded: Path) -> None:
    found = [message for topic, _, message in messages(recorded) if topic == ODOMETRY]
    assert len(found) > 80
    for message in found:
        assert (message.header.frame_id, message.child_frame_id) == ("map", "base_link")
        pose, twist = message.pose.pose, message.twist.twist
        np.testing.assert_allclose(
            matrix_of(pose.position, pose.orientation), pose_at(stamp_of(message)), atol=1e-9
        )
        linear = [twist.linear.x, twist.linear.y, twist.linear.z]
        np.testing.assert_allclose(linear, [SPEED, 0, 0], atol=1e-4)
        angular = [twist.angular.x, twist.angular.y, twist.angular.z]
        np.testing.assert_allclose(angular, [0, 0, YAW_RATE], atol=1e-6)


def test_static_transforms_are_latched(recorded: Path) -> None:
    from rosbags.interfaces import QosDurability, QosReliability
    from rosbags.rosbag2 import Reader

    with Reader(recorded) as reader:
        profiles = {found.topic: found.ext.offered_qos_profiles for found in reader.connections}
    (static,) = profiles.pop("/tf_static")
    assert static.durability == QosDurability.TRANSIENT_LOCAL
    assert static.reliability == QosReliability.RELIABLE
    assert not any(profiles.values())
    metadata = (recorded / "metadata.yaml").read_text()
    assert "version: 8" in metadata
    assert "durability: 1" in metadata


def test_clouds_hold_every_field_in_the_layout_of_autoware(recorded: Path) -> None:
    float32, uint8, uint16, uint32 = 7, 2, 4, 6
    layout = [("x", 0, float32), ("y", 4, float32), ("z", 8, float32), ("intensity", 12, uint8)]
    layout += [("return_type", 13, uint8), ("channel", 14, uint16)]
    wide = [("azimuth", 16, float32), ("elevation", 20, float32), ("distance", 24, float32)]
    wide += [("time_stamp", 28, uint32)]
    originals = {original.stamp_ns: original for original in sweeps(3)}
    for topic, _, message in messages(recorded):
        if topic not in (CLOUDS, RAW):
            continue
        original = originals[stamp_of(message)]
        raw = topic == RAW
        assert message.header.frame_id == ("lidar_top" if raw else "base_link")
        assert message.point_step == (32 if raw else 16)
        assert [(f.name, f.offset, f.datatype) for f in message.fields] == layout + (wide if raw else [])
        columns = columns_of(message)
        found = np.stack([columns.x, columns.y, columns.z], axis=1)
        np.testing.assert_array_equal(found, original.raw_xyz if raw else original.xyz)
        np.testing.assert_array_equal(columns.intensity, original.intensity)
        formats = {"formats": ["u1", "<u2"], "names": ["return_type", "channel"], "offsets": [13, 14]}
        records = np.frombuffer(message.data, np.dtype({**formats, "itemsize": message.point_step}))
        np.testing.assert_array_equal(records["channel"], original.beam)
        assert set(records["return_type"]) == {1}


def test_raw_cloud_gives_direction_distance_and_time(recorded: Path) -> None:
    raw = [message for topic, _, message in messages(recorded) if topic == RAW]
    for message, original in zip(raw, sweeps(3), strict=True):
        rows = np.frombuffer(message.data, "<f4").reshape(-1, 8).astype(np.float64)
        azimuth, elevation, distance = rows[:, 4:7].T
        direction = [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation)]
        direction.append(np.sin(elevation))
        np.testing.assert_allclose(distance * np.array(direction), original.raw_xyz.T, atol=1e-4)
        assert azimuth.min() >= 0
        offsets = np.frombuffer(message.data, "<u4").reshape(-1, 8)[:, 7]
        np.testing.assert_allclose(offsets, original.time * 1e9, atol=1)


def test_replay_can_be_scored_by_stamp(recorded: Path) -> None:
    truths = ground_truth_by_stamp(recorded)
    samples = open_samples(f"{recorded}#{CLOUDS}")
    assert [sample.input.stamp_ns for sample in samples] == list(truths)
    for original in sweeps(3):
        found = truths[original.stamp_ns]
        assert found.boxes.class_names == CLASS_NAMES
        np.testing.assert_array_equal(found.boxes.centers, original.ground_truth.boxes.centers)
        np.testing.assert_array_equal(found.track_ids, original.ground_truth.track_ids)


def test_clouds_of_a_bag_get_the_ground_truth_beside_it(recorded: Path) -> None:
    truths = ground_truth_by_stamp(recorded)
    for source in (
        f"{recorded}#{CLOUDS}",
        f"{next(path for path in recorded.iterdir() if path.suffix != '.yaml')}#{CLOUDS}",
    ):
        samples = open_samples(source, class_names=("PEDESTRIAN", "CAR"))
        assert len(samples) == 3
        for sample in samples[0:2]:
            assert sample.ground_truth is not None
            assert sample.ground_truth.boxes.class_names == ("PEDESTRIAN", "CAR")
            all_boxes = truths[sample.input.stamp_ns].boxes.count_by_class()
            assert sample.ground_truth.boxes.count_by_class() == {
                name: all_boxes[name] for name in ("PEDESTRIAN", "CAR")
            }


def test_bag_without_raw_clouds_and_with_other_names(tmp_path: Path) -> None:
    layout = BagLayout(cloud_topic="/points", lidar_frame="hesai", margin_ns=50_000_000)
    counts = write_simulated_bag(tmp_path / "bag", sweeps(2), pose_at, layout=layout)
    assert list(counts) == ["/tf_static", "/tf", ODOMETRY, "/points"]
    assert len(open_samples(str(tmp_path / "bag"))) == 2


@pytest.mark.parametrize("raw", [False, True])
def test_sweeps_are_streamed(raw: bool, tmp_path: Path) -> None:
    alive: list[weakref.ref[SimulatedSweep]] = []
    most = 0

    def watched() -> Iterator[SimulatedSweep]:
        nonlocal most
        for index in range(12):
            made = sweep(START_NS + index * PERIOD_NS)
            alive.append(weakref.ref(made))
            gc.collect()
            most = max(most, sum(reference() is not None for reference in alive[1:]))
            yield made
            del made

    write_simulated_bag(tmp_path / "bag", watched(), pose_at, raw=raw)
    assert most <= 3


def test_drive_that_contradicts_itself_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "bag"
    with pytest.raises(BagError, match="no sweep to write"):
        write_simulated_bag(target, [], pose_at)
    moved = replace(sweep(START_NS + PERIOD_NS), lidar_to_base=np.eye(4))
    with pytest.raises(BagError, match="sweep 1: sensor is mounted elsewhere"):
        write_simulated_bag(target, [sweep(START_NS), moved], pose_at)
    with pytest.raises(BagError, match="sweep 0: pose differs from that of the drive; got 1"):
        write_simulated_bag(target, sweeps(2), lambda stamp: pose_at(stamp) + np.eye(4, k=3))
    with pytest.raises(BagError, match="not in order"):
        write_simulated_bag(target, reversed(list(sweeps(2))), pose_at)
    skewed = replace(sweep(START_NS), lidar_to_base=2 * np.eye(4))
    with pytest.raises(BagError, match="not a rigid transform"):
        write_simulated_bag(target, [skewed], pose_at)
    with pytest.raises(BagError, match="margin is shorter"):
        write_simulated_bag(target, sweeps(1), pose_at, layout=BagLayout(margin_ns=1))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_simulated_bag(tmp_path / "bag", sweeps(1), pose_at)
    with pytest.raises(BagError, match=r"bag\.infos\.pkl: exists already"):
        write_simulated_bag(tmp_path / "bag", sweeps(1), pose_at)
    (tmp_path / "bag.infos.pkl").unlink()
    with pytest.raises(BagError, match="bag: exists already"):
        write_simulated_bag(tmp_path / "bag", sweeps(1), pose_at)
    with pytest.raises(DatasetError, match=r"bag\.infos\.pkl: cannot be read"):
        ground_truth_by_stamp(tmp_path / "bag")


def test_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise ArtifactError(path, "cannot be written", got="No space left on device")

    monkeypatch.setattr(infos_module, "write_bytes", full)
    with pytest.raises(ArtifactError, match=r"bag\.infos\.pkl: cannot be written"):
        write_simulated_bag(tmp_path / "bag", sweeps(1), pose_at)
