"""What the logger writes, read back by Rerun itself; skipped where rerun-sdk is not installed."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from awml_deploy_msgs.msg import DetectedBox, DetectionFrame
from clouds import cloud_of, truncated_cloud
from geometry_msgs.msg import Vector3
from harness import wait_until
from processes import TIMEOUT_S, Process
from rclpy.duration import Duration
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import PointCloud2

from awml_deploy_core.errors import ArtifactError, MissingDependencyError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_ros import rerun_log
from awml_deploy_ros.bag_recorder import BagFile
from awml_deploy_ros.outputs.geometry import quaternion_of
from awml_deploy_ros.rerun_log import BOXES, CLOUD, TIMELINE, VELOCITIES, RerunLog

NODE, TOPIC = "/ns/centerpoint", "/points"
FRAME = f"{NODE}/output/frame"
POINTS = np.arange(40, dtype=np.float32).reshape(10, 4)


def read(path: Path) -> Mapping[str, Sequence[tuple[int, Mapping[str, list[Any]]]]]:
    """Rows of every entity in order: the stamp [ns] and the components."""
    chunk = pytest.importorskip("rerun.chunk", reason="no rerun-sdk that reads its files")
    found: dict[str, list[tuple[int, Mapping[str, list[Any]]]]] = {}
    for part in chunk.RrdReader(path).stream():
        batch = part.to_record_batch()
        if TIMELINE not in batch.schema.names:
            continue
        stamps = batch.column(TIMELINE).cast("int64").to_pylist()
        names = [name for name in batch.schema.names if ":" in name]
        columns = {name.partition(":")[2]: batch.column(name).to_pylist() for name in names}
        rows = found.setdefault(str(part.entity_path).strip("/"), [])
        rows += [(s, {n: c[row] for n, c in columns.items()}) for row, s in enumerate(stamps)]
    return {name: sorted(rows, key=lambda row: row[0]) for name, rows in found.items()}


def box(velocity: tuple[float, float], class_name: str = "CAR") -> DetectedBox:
    made = DetectedBox(class_name=class_name, score=0.75, has_velocity=True)
    made.pose.position.x, made.pose.position.y = 1.0, 2.0
    made.pose.orientation = quaternion_of(0.5)
    made.size = Vector3(x=4.0, y=2.0, z=1.5)
    made.velocity = Vector3(x=velocity[0], y=velocity[1])
    return made


def frame(second: int, *boxes: DetectedBox) -> DetectionFrame:
    made = DetectionFrame(boxes=list(boxes))
    made.header.stamp.sec, made.header.stamp.nanosec = second, 5
    return made


def check(path: Path) -> None:
    """The recording of a cloud of 10 points, once or again, and of two frames, the second without a box."""
    found = read(path)
    for stamp, cloud in found[CLOUD]:
        assert stamp == 100_000_000_005
        np.testing.assert_allclose(cloud["positions"], POINTS[:, :3])
    (at_first, first), (at_second, second) = found[BOXES]
    assert (at_first, at_second) == (100_000_000_005, 101_000_000_005)
    assert first["labels"] == ["CAR 0.75", "PEDESTRIAN 0.75"]
    np.testing.assert_allclose(first["centers"], [(1, 2, 0)] * 2)
    np.testing.assert_allclose(first["half_sizes"], [(2, 1, 0.75)] * 2)
    np.testing.assert_allclose(first["quaternions"][0], (0, 0, np.sin(0.25), np.cos(0.25)), atol=1e-6)
    assert second["centers"] == []
    (_, moving), (_, none) = found[VELOCITIES]
    np.testing.assert_allclose(moving["vectors"], [(3, -1, 0)])
    np.testing.assert_allclose(moving["origins"], [(1, 2, 0)])
    assert none["vectors"] == []


def messages() -> tuple[PointCloud2, list[DetectionFrame]]:
    boxes = (box((3.0, -1.0)), box((0.1, 0.0), "PEDESTRIAN"))
    return cloud_of(POINTS, stamp=(100, 5)), [frame(100, *boxes), frame(101)]


def test_a_missing_package_is_a_clear_error(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rerun_log, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install rerun-sdk"):
        RerunLog(tmp_path / "drive.rrd")
    assert list(tmp_path.iterdir()) == []


def test_bags_become_a_recording(tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    cloud, frames = messages()
    outputs = BagFile(tmp_path / "outputs", {FRAME: "awml_deploy_msgs/msg/DetectionFrame"})
    for number, message in enumerate(frames):
        outputs.write(FRAME, number, bytes(serialize_message(message)))
    outputs.finish()
    drive = BagFile(tmp_path / "drive", {TOPIC: "sensor_msgs/msg/PointCloud2"})
    for number, message in enumerate((cloud, truncated_cloud())):
        drive.write(TOPIC, number, bytes(serialize_message(message)))
    drive.finish()
    path = tmp_path / "deep" / "drive.rrd"
    bags = ("--bag", str(tmp_path / "outputs"), "--clouds", str(tmp_path / "drive"))
    with Process("-m", "awml_deploy_ros", "rerun_log", str(path), "--node", NODE, *bags) as process:
        assert process.finish() == ExitCode.PASSED, process.output
    assert "1 clouds, 2 frames; 1 clouds left out: " in process.output
    check(path)
    with pytest.raises(ArtifactError, match="exists already"):
        RerunLog(path)
    other = ("--node", "/other", *bags)
    with Process("-m", "awml_deploy_ros", "rerun_log", str(tmp_path / "none.rrd"), *other) as process:
        assert process.finish() == ExitCode.BAD_INPUT
    assert f"no such topic\n  - {FRAME}" in process.output
    assert not list(tmp_path.glob("*none.rrd*"))


def test_a_large_cloud_is_thinned_out(tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    log = RerunLog(tmp_path / "thin.rrd", max_points=4)
    points = POINTS.copy()
    points[3, 1] = np.nan
    log.cloud(cloud_of(points))
    ((_, cloud),) = read(log.finish())[CLOUD]
    np.testing.assert_allclose(cloud["positions"], POINTS[[0, 6, 9], :3])


@pytest.mark.usefixtures("ros")
def test_live_topics_become_a_recording(tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    cloud, frames = messages()
    peer = rclpy.create_node("peer")
    clouds = peer.create_publisher(PointCloud2, TOPIC, qos_profile_sensor_data)
    records = peer.create_publisher(DetectionFrame, FRAME, 50)
    path = tmp_path / "live.rrd"
    with Process(
        "-m", "awml_deploy_ros", "rerun_log", str(path), "--node", NODE, "--topic", TOPIC
    ) as process:
        process.wait_for("writing")
        assert wait_until(lambda: clouds.get_subscription_count() and records.get_subscription_count())
        for message in frames:
            records.publish(message)
        assert records.wait_for_all_acked(Duration(seconds=TIMEOUT_S))
        # Best effort: those before the other side knows this one are lost.
        for _ in range(40):
            clouds.publish(cloud)
            time.sleep(0.05)
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 1)
        process.interrupt(signal.SIGINT)
        assert process.finish() == ExitCode.PASSED, process.output
    assert " clouds, 2 frames" in process.output
    check(path)
    peer.destroy_node()
