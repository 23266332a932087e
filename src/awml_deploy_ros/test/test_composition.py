"""The node and the bag player in one process, with one executor."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from awml_deploy_msgs.msg import DetectionFrame
from clouds import cloud_of, truncated_cloud
from fakes import FakeModels, FakePipeline, inference_failure
from footprint import figures
from processes import TIMEOUT_S
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from sensor_msgs.msg import PointCloud2

from awml_deploy_core.errors import BagError, ProcessError
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.bag_player import PlaybackOptions
from awml_deploy_ros.bag_recorder import BagFile
from awml_deploy_ros.centerpoint_node import CenterPointNode
from awml_deploy_ros.composition import play_into
from awml_deploy_ros.counters import DropReason
from awml_deploy_ros.process import FatalErrors

TOPIC = "/lidar/points"
NODE = "/composed/centerpoint"
FAST = PlaybackOptions(rate_hz=50.0, linger_s=0.0)


def bag_of(path: Path, clouds: Sequence[PointCloud2]) -> CloudTopic:
    bag = BagFile(path, {TOPIC: "sensor_msgs/msg/PointCloud2"})
    for index, cloud in enumerate(clouds):
        bag.write(TOPIC, index + 1, bytes(serialize_message(cloud)))
    return CloudTopic.find(bag.finish())


@pytest.fixture
def drive(tmp_path: Path) -> CloudTopic:
    points = np.ones((10, 4), np.float32)
    clouds = [cloud_of(points, stamp=(100 + number, 0)) for number in range(20)]
    return bag_of(tmp_path / "drive", [*clouds[:10], truncated_cloud(), *clouds[10:]])


@contextmanager
def composed(models: FakeModels, **parameters: Any) -> Iterator[CenterPointNode]:
    values = {"model_path": "fake", **parameters}
    node = CenterPointNode(
        FatalErrors(),
        open_model=models,
        namespace="composed",
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    try:
        yield node
    finally:
        node.close()
        node.destroy_node()


@pytest.mark.usefixtures("ros")
def test_every_cloud_is_accounted_for_and_its_frame_arrives(drive: CloudTopic) -> None:
    frames: list[DetectionFrame] = []
    listener = rclpy.create_node("listener")
    listener.create_subscription(DetectionFrame, f"{NODE}/output/frame", frames.append, 50)
    with composed(FakeModels()) as node:
        run = play_into(node, drive, FAST, beside=[listener])
        assert (run.playback.frames, run.accounted, run.unexplained) == (21, 21, 0)
        dropped = {reason: count for reason, count in run.counters.dropped.items() if count}
        # A busy machine may supersede or lose some; the malformed one is told unless it was lost.
        assert set(dropped) <= {DropReason.MALFORMED, DropReason.SUPERSEDED, DropReason.LOST_IN_TRANSPORT}
        assert dropped.get(DropReason.MALFORMED, 0) <= 1
        # What was published and not looked at is in the listener's queue.
        deadline = time.monotonic() + TIMEOUT_S
        while len(frames) < run.counters.processed and time.monotonic() < deadline:
            rclpy.spin_once(listener, timeout_sec=0.1)
        assert len(frames) == run.counters.processed > 0
        again = play_into(node, drive, FAST)
        assert (again.playback.frames, again.accounted) == (21, 21)
    listener.destroy_node()


@pytest.mark.usefixtures("ros")
def test_what_goes_wrong_is_raised_and_the_node_can_be_closed(drive: CloudTopic, tmp_path: Path) -> None:
    models = FakeModels()
    with (
        composed(models, model_path="") as node,
        pytest.raises(ProcessError, match="refuses to be configured"),
    ):
        play_into(node, drive, FAST)
    models.state.failure = inference_failure()
    with composed(models) as node, pytest.raises(ProcessError, match="refuses to be configured"):
        play_into(node, drive, FAST)
    models.state.failure = None
    with composed(models) as node:
        with pytest.raises(BagError, match="has no messages"):
            play_into(node, bag_of(tmp_path / "empty", []), FAST)
        assert play_into(node, drive, FAST).unexplained == 0


@pytest.mark.usefixtures("ros")
def test_a_bug_in_a_thread_of_the_node_is_raised(drive: CloudTopic, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(FakePipeline, "_infer", broken)
    with composed(FakeModels()) as node, pytest.raises(ZeroDivisionError, match="a bug"):
        play_into(node, drive, FAST)


def life(drive: CloudTopic) -> weakref.ref[CenterPointNode]:
    """From the middleware's start to its end."""
    rclpy.init(args=[])
    with composed(FakeModels()) as node:
        assert play_into(node, drive, FAST).unexplained == 0
        found = weakref.ref(node)
    rclpy.try_shutdown()
    return found


def test_nothing_is_left_after_shutdown(drive: CloudTopic) -> None:
    held = []
    for _ in range(4):
        node = life(drive)
        gc.collect()
        assert node() is None
        held.append(figures())
    # The first life imports and fills caches.
    for name in ("python_threads", "descriptors", "shm"):
        assert len({entry[name] for entry in held[1:]}) == 1, (name, held)
    threads = [entry["threads"] for entry in held[1:]]
    assert max(threads) - min(threads) <= 2, held
