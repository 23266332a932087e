"""Frames on their way to the reference process."""

import os

import numpy as np
import pytest

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ProcessError
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_ros.shadow.arena import Arena
from awml_deploy_ros.shadow.exchange import codec_of


def frame(points: int, seed: int = 0) -> PointCloudFrame:
    rng = np.random.default_rng(seed)
    raw = np.zeros(points, [("x", "<f4"), ("y", ">f4"), ("z", "<f8"), ("i", "u1"), ("rest", "u1")])
    for name in ("x", "y", "z"):
        raw[name] = rng.uniform(-50, 50, points)
    raw["i"] = rng.integers(0, 255, points)
    columns = PointColumns(raw["x"], raw["y"], raw["z"], raw["i"])
    past = PointColumns(raw["x"], raw["y"], raw["z"])
    return PointCloudFrame(
        (Sweep(columns), Sweep(past, 0.1, np.eye(4) + rng.normal(size=(4, 4)))), "lidar", 123_456_789_012
    )


def boxes(number: int) -> Detections:
    rng = np.random.default_rng(number)
    return Detections(
        rng.normal(size=(number, 3)).astype(np.float32),
        np.ones((number, 3), np.float32),
        np.zeros(number, np.float32),
        np.zeros((number, 2), np.float32),
        rng.uniform(size=number).astype(np.float32),
        np.zeros(number, np.int32),
        ("CAR", "TRUCK"),
        has_velocity=False,
    )


def test_frames_of_any_size_arrive_bit_for_bit() -> None:
    codec = codec_of("detection3d")
    ours = Arena()
    theirs = Arena(os.dup(ours.descriptor))
    # Growing, shrinking and empty: the other side maps what it does not know yet.
    for points, number in ((10, 3), (100_000, 50), (0, 0), (5, 1)):
        sent, live = frame(points), boxes(number)
        found, detections = codec.decode(codec.encode(sent, live, ours), theirs)
        assert (found.frame_id, found.stamp_ns) == (sent.frame_id, sent.stamp_ns)
        for one, two in zip(found.sweeps, sent.sweeps, strict=True):
            assert one.time_lag == two.time_lag
            for name in ("x", "y", "z", "intensity"):
                a, b = getattr(one.columns, name), getattr(two.columns, name)
                assert (a is None) == (b is None)
                if a is not None:
                    np.testing.assert_array_equal(a, b)
        assert found.sweeps[0].transform is None
        np.testing.assert_array_equal(found.sweeps[1].transform, sent.sweeps[1].transform)
        np.testing.assert_array_equal(detections.centers, live.centers)
        assert (detections.class_names, detections.has_velocity) == (live.class_names, False)
    ours.close()
    theirs.close()
    ours.close()


def test_an_arena_has_no_name_that_could_be_left_behind() -> None:
    before = set(os.listdir("/dev/shm"))
    arena = Arena()
    arena.write([np.ones(1_000_000)])
    assert not [name for name in set(os.listdir("/dev/shm")) - before if "awml" in name]
    arena.close()


def test_a_task_without_a_codec_is_one_clear_error() -> None:
    with pytest.raises(ProcessError, match="not available for this task"):
        codec_of("telepathy")
