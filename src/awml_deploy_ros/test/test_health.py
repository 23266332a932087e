"""Autoware's two limits."""

from awml_deploy_ros.counters import DropReason
from awml_deploy_ros.health import HealthLimits, HealthMonitor, Level

LIMITS = HealthLimits(max_processing_ms=200.0, max_delay_ms=1000.0)
MS = 1_000_000


def test_a_node_in_time_is_ok() -> None:
    monitor = HealthMonitor(0)
    assert monitor.judge(500 * MS, LIMITS).level == Level.OK
    monitor.frame_processed(600 * MS, 50.0, LIMITS)
    health = monitor.judge(700 * MS, LIMITS)
    assert (health.level, health.message) == (Level.OK, "running")


def test_silence_is_a_warning() -> None:
    monitor = HealthMonitor(0)
    health = monitor.judge(1500 * MS, LIMITS)
    assert (health.level, health.message) == (Level.WARN, "no cloud for 1.5 s")


def test_a_frame_that_never_ends_is_an_error_not_silence() -> None:
    monitor = HealthMonitor(0)
    for arrival in range(100, 1100, 100):
        monitor.input_arrived(arrival * MS)
    assert monitor.judge(1050 * MS, LIMITS).level == Level.OK
    health = monitor.judge(3100 * MS, LIMITS)
    assert (health.level, health.message) == (Level.ERROR, "no result for 3.0 s, though clouds came")
    monitor.frame_processed(3200 * MS, 50.0, LIMITS)
    assert monitor.judge(3250 * MS, LIMITS).message == "no cloud for 2.2 s"


def test_a_slow_frame_is_a_warning_and_slow_frames_are_an_error() -> None:
    monitor = HealthMonitor(0)
    monitor.frame_processed(100 * MS, 300.0, LIMITS)
    assert monitor.judge(150 * MS, LIMITS).level == Level.WARN
    monitor.input_arrived(900 * MS)
    monitor.frame_processed(1200 * MS, 300.0, LIMITS)
    health = monitor.judge(1250 * MS, LIMITS)
    assert health.level == Level.ERROR
    assert "300.0 ms, allowed 200.0 ms" in health.message
    monitor.frame_processed(1300 * MS, 100.0, LIMITS)
    assert monitor.judge(1350 * MS, LIMITS).level == Level.OK


def test_a_failure_stays_a_warning_for_a_while_although_later_clouds_are_fine() -> None:
    monitor = HealthMonitor(0)
    monitor.input_arrived(90 * MS)
    monitor.frame_failed(100 * MS, DropReason.MALFORMED, "data: wrong length")
    monitor.input_arrived(190 * MS)
    monitor.frame_processed(200 * MS, 50.0, LIMITS)
    health = monitor.judge(300 * MS, LIMITS)
    assert (health.level, health.message) == (Level.WARN, "malformed: data: wrong length")
    monitor.input_arrived(1190 * MS)
    monitor.frame_processed(1200 * MS, 50.0, LIMITS)
    assert monitor.judge(1250 * MS, LIMITS).level == Level.OK
    assert str(monitor.last_failure) == "malformed: data: wrong length"
    assert monitor.last_failure.time_ns == 100 * MS


def test_failures_alone_are_an_error() -> None:
    monitor = HealthMonitor(0)
    monitor.input_arrived(890 * MS)
    monitor.frame_failed(900 * MS, DropReason.INFERENCE_ERROR, "no")
    monitor.input_arrived(1090 * MS)
    monitor.frame_failed(1100 * MS, DropReason.INFERENCE_ERROR, "no")
    assert monitor.judge(1150 * MS, LIMITS).level == Level.ERROR


def test_a_frame_that_lacked_its_transform_is_a_warning_until_the_next() -> None:
    monitor = HealthMonitor(0)
    monitor.frame_processed(100 * MS, 50.0, LIMITS, "transform from lidar to map: late")
    health = monitor.judge(150 * MS, LIMITS)
    expected = (Level.WARN, "without past sweeps: transform from lidar to map: late")
    assert (health.level, health.message) == expected
    monitor.frame_processed(200 * MS, 50.0, LIMITS)
    assert monitor.judge(250 * MS, LIMITS).level == Level.OK
