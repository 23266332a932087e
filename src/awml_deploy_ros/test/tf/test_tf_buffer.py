"""Waiting for transforms, and time that jumps."""

import threading
import time

import numpy as np
import pytest

from awml_deploy_ros.tf import (
    FrameTransform,
    Pose,
    TransformBuffer,
    TransformProblem,
    TransformTree,
    TransformUnavailableError,
)

S = 1_000_000_000
LONG_S = 60.0


def moved(second: float, child: str = "base_link") -> FrameTransform:
    return FrameTransform("map", child, int(second * S), Pose((second, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)))


def buffer_with(*transforms: FrameTransform) -> TransformBuffer:
    buffer = TransformBuffer(TransformTree())
    buffer.add(transforms)
    return buffer


def later(action) -> threading.Thread:
    thread = threading.Timer(0.05, action)
    thread.start()
    return thread


def test_a_transform_that_is_late_is_waited_for() -> None:
    buffer = buffer_with(moved(1.0), moved(2.0))
    thread = later(lambda: buffer.add([moved(3.0)]))
    assert buffer.lookup("map", "base_link", int(2.5 * S), LONG_S)[0, 3] == 2.5
    thread.join()


def test_the_wait_is_bounded() -> None:
    buffer = buffer_with(moved(1.0))
    start = time.monotonic()
    with pytest.raises(TransformUnavailableError) as caught:
        buffer.lookup("map", "base_link", 2 * S, 0.05)
    assert caught.value.transform_problem is TransformProblem.TOO_LATE
    assert 0.05 <= time.monotonic() - start < LONG_S


@pytest.mark.parametrize(("frame", "second"), [("other", 1.0), ("base_link", 0.5)])
def test_nobody_waits_for_what_waiting_cannot_bring(frame: str, second: float) -> None:
    buffer = buffer_with(moved(1.0))
    start = time.monotonic()
    with pytest.raises(TransformUnavailableError):
        buffer.lookup("map", frame, int(second * S), LONG_S)
    assert time.monotonic() - start < LONG_S


def test_nobody_waits_once_transforms_have_ceased(monkeypatch) -> None:
    monkeypatch.setattr("awml_deploy_ros.tf.buffer._SILENCE_S", 0.05)
    buffer = buffer_with(moved(1.0))
    start = time.monotonic()
    with pytest.raises(TransformUnavailableError):
        buffer.lookup("map", "base_link", 2 * S, LONG_S)
    assert time.monotonic() - start < LONG_S


def test_closing_ends_a_wait() -> None:
    buffer = buffer_with(moved(1.0))
    thread = later(buffer.close)
    with pytest.raises(TransformUnavailableError):
        buffer.lookup("map", "base_link", 2 * S, LONG_S)
    thread.join()


def test_a_jump_back_forgets_what_moves_and_keeps_what_does_not() -> None:
    buffer = buffer_with(moved(100.0), moved(101.0), moved(101.0, "trailer"))
    buffer.add(
        [FrameTransform("base_link", "lidar", 0, Pose((1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)))], static=True
    )
    buffer.add([moved(50.0)])
    assert buffer.time_jumps == 1
    for frame in ("base_link", "trailer"):
        with pytest.raises(TransformUnavailableError):
            buffer.lookup("map", frame, 101 * S)
    assert buffer.lookup("map", "lidar", 50 * S)[0, 3] == 51.0


def test_a_message_that_overtook_another_is_no_jump() -> None:
    buffer = buffer_with(moved(1.0), moved(2.0), moved(1.5))
    assert buffer.time_jumps == 0
    np.testing.assert_allclose(buffer.lookup("map", "base_link", int(1.75 * S))[0, 3], 1.75)


def test_one_stamp_from_the_far_future_heals_itself() -> None:
    buffer = buffer_with(moved(1.0), moved(1000.0), moved(1.1), moved(1.2))
    assert buffer.lookup("map", "base_link", int(1.15 * S))[0, 3] == pytest.approx(1.15)
