"""Past sweeps in the frame of the current one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.pipeline import StageClock
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_ros.counters import NoPastSweeps
from awml_deploy_ros.densification import (
    DensifiedFrame,
    MissingTransformError,
    NoDensifier,
    SweepDensifier,
)
from awml_deploy_ros.settings import DensificationSettings
from awml_deploy_ros.tf import FrameTransform, Pose, TransformBuffer, TransformTree
from awml_deploy_ros.tf.pose import inverse

MS = 1_000_000
START_MS = 1_700_000_000_000
LANDMARK = np.array([30.0, -4.0, 1.5, 1.0])
"""A point that does not move, in the world."""


def vehicle_at(time_ms: float, speed: float = 12.0, yaw_rate: float = 0.4) -> Pose:
    """A vehicle on a circle."""
    seconds = (time_ms - START_MS) * 1e-3
    yaw = yaw_rate * seconds
    radius = speed / yaw_rate
    position = (radius * math.sin(yaw), radius * (1 - math.cos(yaw)), 0.5)
    return Pose(position, (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)))


def drive(until_ms: float, period_ms: int = 10) -> TransformBuffer:
    buffer = TransformBuffer(TransformTree())
    for time in range(START_MS, int(START_MS + until_ms) + 1, period_ms):
        buffer.add([FrameTransform("map", "base_link", time * MS, vehicle_at(time))])
    return buffer


def cloud_at(after_ms: float, frame_id: str = "base_link") -> PointCloudFrame:
    """A cloud of the landmark, as the vehicle sees it."""
    seen = inverse(vehicle_at(START_MS + after_ms).matrix()) @ LANDMARK
    columns = PointColumns.from_array(np.append(seen[:3], 7.0)[None])
    return PointCloudFrame.single(columns, frame_id, int((START_MS + after_ms) * MS))


def settings(**changes: object) -> DensificationSettings:
    return DensificationSettings(**{"tf_timeout_ms": 0.0, **changes})  # type: ignore[arg-type]


def run(densifier: SweepDensifier, frame: PointCloudFrame) -> DensifiedFrame:
    """As the worker does with a frame that the pipeline takes."""
    result = densifier.densify(frame, StageClock())
    densifier.remember(frame)
    return result


def landmarks(frame: PointCloudFrame) -> np.ndarray:
    """Where each sweep sees the landmark, in the current frame."""
    seen = []
    for sweep in frame.sweeps:
        point = np.array([sweep.columns.x[0], sweep.columns.y[0], sweep.columns.z[0], 1.0])
        seen.append(point if sweep.transform is None else sweep.transform @ point)
    return np.array(seen)


@given(st.floats(1, 400), st.floats(1, 400))
def test_what_stands_still_coincides_in_all_sweeps(first_ms: float, second_ms: float) -> None:
    densifier = SweepDensifier(settings(num_past_frames=2, max_past_sweep_age_ms=1000.0), drive(1000))
    times = (0.0, first_ms, first_ms + second_ms)
    for time in times:
        result = run(densifier, cloud_at(time))
    assert result.num_past_sweeps == 2
    assert result.missing is None
    seen = landmarks(result.frame)
    # Between two transforms the circle is taken for a chord.
    np.testing.assert_allclose(seen, np.broadcast_to(seen[0], seen.shape), atol=2e-3)
    lags = [sweep.time_lag for sweep in result.frame.sweeps]
    expected = [0.0, (times[2] - times[1]) * 1e-3, times[2] * 1e-3]
    assert lags == pytest.approx(expected, abs=1e-6)


def test_the_latest_past_sweeps_are_used_and_their_number_is_bounded() -> None:
    densifier = SweepDensifier(settings(num_past_frames=2), drive(500))
    counts = [run(densifier, cloud_at(100.0 * step)).num_past_sweeps for step in range(5)]
    assert counts == [0, 1, 2, 2, 2]
    assert len(densifier._past) == 2


def test_past_sweeps_do_not_keep_their_messages() -> None:
    raw = np.zeros((1000, 8), np.float32)
    frame = PointCloudFrame.single(PointColumns.from_array(raw), "base_link", START_MS * MS)
    densifier = SweepDensifier(settings(), drive(500))
    run(densifier, frame)
    past = run(densifier, cloud_at(100)).frame.sweeps[1].columns
    for column in (past.x, past.y, past.z, past.intensity):
        assert not np.shares_memory(column, raw)
        assert column.flags.c_contiguous


def test_the_first_frame_has_no_past_and_needs_no_transform() -> None:
    result = run(SweepDensifier(settings(), TransformBuffer(TransformTree())), cloud_at(0))
    assert (result.num_past_sweeps, result.missing) == (0, NoPastSweeps.FIRST_FRAME)


def test_without_transforms_the_frame_runs_alone_and_says_why() -> None:
    densifier = SweepDensifier(settings(), TransformBuffer(TransformTree()))
    run(densifier, cloud_at(0))
    result = run(densifier, cloud_at(100))
    assert (result.num_past_sweeps, result.missing) == (0, NoPastSweeps.MISSING_TF)
    assert "nobody has published" in result.detail


def test_a_late_transform_is_late_and_serves_the_next_frame() -> None:
    transforms = drive(150)
    densifier = SweepDensifier(settings(), transforms)
    run(densifier, cloud_at(100))
    assert run(densifier, cloud_at(200)).missing is NoPastSweeps.LATE_TF
    for time in range(160, 310, 10):
        stamp = START_MS + time
        transforms.add([FrameTransform("map", "base_link", stamp * MS, vehicle_at(stamp))])
    result = run(densifier, cloud_at(300))
    assert result.missing is None
    assert result.frame.sweeps[1].time_lag == pytest.approx(0.1)


def test_a_frame_without_transforms_can_be_dropped() -> None:
    densifier = SweepDensifier(settings(drop_without_tf=True), drive(150))
    assert densifier.densify(cloud_at(100), StageClock()).missing is NoPastSweeps.FIRST_FRAME
    with pytest.raises(MissingTransformError, match="on_missing_tf") as late:
        densifier.densify(cloud_at(200), StageClock())
    assert late.value.missing is NoPastSweeps.LATE_TF
    with pytest.raises(MissingTransformError) as missing:
        densifier.densify(cloud_at(201, "unknown"), StageClock())
    assert missing.value.missing is NoPastSweeps.MISSING_TF


def test_time_that_jumps_back_clears_the_past() -> None:
    densifier = SweepDensifier(settings(num_past_frames=3), drive(1000))
    for time in (500, 600, 700):
        run(densifier, cloud_at(time))
    result = run(densifier, cloud_at(100))
    assert (result.num_past_sweeps, result.missing) == (0, NoPastSweeps.TIME_JUMPED_BACK)
    assert run(densifier, cloud_at(200)).num_past_sweeps == 1


def test_what_is_too_old_is_forgotten() -> None:
    densifier = SweepDensifier(settings(num_past_frames=2, max_past_sweep_age_ms=150.0), drive(3000))
    run(densifier, cloud_at(0))
    assert run(densifier, cloud_at(100)).num_past_sweeps == 1
    assert run(densifier, cloud_at(200)).num_past_sweeps == 1
    assert run(densifier, cloud_at(1000)).missing is NoPastSweeps.PAST_TOO_OLD
    assert len(densifier._past) == 1


def test_clouds_of_another_frame_or_of_the_same_time_are_not_used() -> None:
    densifier = SweepDensifier(settings(), drive(1000))
    run(densifier, cloud_at(0, "lidar"))
    assert run(densifier, cloud_at(100)).missing is NoPastSweeps.OTHER_FRAME_ID
    assert run(densifier, cloud_at(100)).missing is NoPastSweeps.SAME_STAMP
    assert run(densifier, cloud_at(200)).num_past_sweeps == 1


def test_a_sweep_that_the_pipeline_refused_is_not_remembered() -> None:
    densifier = SweepDensifier(settings(), drive(1000))
    densifier.densify(cloud_at(0), StageClock())
    assert run(densifier, cloud_at(100)).missing is NoPastSweeps.FIRST_FRAME


def test_a_leading_slash_names_the_same_frame() -> None:
    densifier = SweepDensifier(settings(), drive(1000))
    run(densifier, cloud_at(0, "/base_link"))
    assert run(densifier, cloud_at(100, "/base_link")).num_past_sweeps == 1


def test_both_stages_are_timed_in_every_frame() -> None:
    densifier = SweepDensifier(settings(), TransformBuffer(TransformTree()))
    for time in (0, 100, 200):
        clock = StageClock()
        frame = cloud_at(time)
        densifier.densify(frame, clock)
        densifier.remember(frame)
        assert [stage.name for stage in clock.result().stages] == ["tf_wait", "densify"]


def test_switched_off_nothing_is_done() -> None:
    clock, frame = StageClock(), cloud_at(0)
    result = NoDensifier().densify(frame, clock)
    assert result.frame is frame
    assert result.missing is NoPastSweeps.DISABLED
    assert clock.result().stages == ()


def test_a_sweep_that_was_only_remembered_serves_as_one_that_was_processed() -> None:
    densifier = SweepDensifier(settings(num_past_frames=2, max_past_sweep_age_ms=1000.0), drive(1000))
    run(densifier, cloud_at(0))
    densifier.remember(cloud_at(100))
    result = run(densifier, cloud_at(200))
    assert [round(sweep.time_lag, 3) for sweep in result.frame.sweeps] == [0.0, 0.1, 0.2]
    # One from before the last is of another time, of which the next frame takes care.
    densifier.remember(cloud_at(150))
    result = run(densifier, cloud_at(300))
    assert [round(sweep.time_lag, 3) for sweep in result.frame.sweeps] == [0.0, 0.1, 0.2]
