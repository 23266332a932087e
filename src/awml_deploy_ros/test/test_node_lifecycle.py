"""The node over real DDS, with a fake model."""

import gc
import threading

import numpy as np
import pytest
import rclpy
from awml_deploy_msgs.msg import DetectionFrame
from clouds import cloud_of, truncated_cloud
from diagnostic_msgs.msg import DiagnosticArray
from fakes import inference_failure
from harness import STATES, Harness, wait_until
from lifecycle_msgs.msg import Transition
from processes import TIMEOUT_S
from visualization_msgs.msg import MarkerArray

from awml_deploy_core.errors import DeviceLostError
from awml_deploy_ros.counters import CLOUDS
from awml_deploy_ros.diagnostic_keys import processing_keys

pytestmark = pytest.mark.usefixtures("ros_for_all")
POINTS = np.tile(np.array([[1.0, 2.0, 3.0, 50.0]], np.float32), (10, 1))


def drops(frame: DetectionFrame) -> dict[str, int]:
    return {item.reason: item.count for item in frame.counters.dropped if item.count}


def test_the_life_of_a_node() -> None:
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        diagnostics = h.collect(DiagnosticArray, "/diagnostics")
        assert h.state() == STATES["unconfigured"]
        assert h.configure()
        assert h.state() == STATES["inactive"]
        h.publisher.publish(cloud_of(POINTS))
        assert h.activate()
        h.publisher.publish(cloud_of(POINTS, "lidar", (7, 8)))
        assert wait_until(lambda: len(frames) == 1)
        assert h.change(Transition.TRANSITION_DEACTIVATE)
        assert wait_until(lambda: h.publisher.get_subscription_count() == 0)
        assert h.activate()
        h.publisher.publish(cloud_of(POINTS))
        assert wait_until(lambda: len(frames) == 2)
        assert frames[1].counters.received == 2
        assert h.change(Transition.TRANSITION_DEACTIVATE)
        assert not h.models.state.closed
        assert h.change(Transition.TRANSITION_CLEANUP)
        assert h.models.state.closed
        assert h.state() == STATES["unconfigured"]
        assert h.configure()
        assert len(h.models.settings) == 2
        assert h.change(Transition.TRANSITION_INACTIVE_SHUTDOWN)
        assert h.models.state.closed
        assert h.state() == STATES["finalized"]
        assert wait_until(lambda: _values(diagnostics[-1])["state"] == "finalized")
        assert h.fatal.error is None


def test_a_node_that_was_stopped_while_configuring_does_not_activate() -> None:
    with Harness(autostart=True) as h:
        h.fatal.stop.set()
        h.node.start()
        assert h.state() == STATES["unconfigured"]


def test_the_record_of_a_frame() -> None:
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        markers = h.collect(MarkerArray, "output/markers")
        h.configure()
        h.activate()
        h.publisher.publish(cloud_of(POINTS, "lidar", (7, 8)))
        assert wait_until(lambda: frames and markers)
        frame = frames[0]
    assert (frame.header.frame_id, frame.header.stamp.sec, frame.header.stamp.nanosec) == ("lidar", 7, 8)
    (box,) = frame.boxes
    assert (box.pose.position.x, box.pose.position.y, box.pose.position.z) == (1.0, 2.0, 3.0)
    assert (box.class_name, box.score, box.velocity.x) == ("CAR", 0.5, 3.0)
    assert [stage.name for stage in frame.stages] == [
        *("queue", "decode", "tf_wait", "densify"),
        *("backbone_head", "publish"),
    ]
    assert all(stage.milliseconds >= 0 for stage in frame.stages)
    assert frame.end_to_end_latency_ms >= sum(stage.milliseconds for stage in frame.stages)
    assert not frame.header_age_valid
    assert (frame.points.points_in, frame.points.pillars) == (10, -1)
    assert (frame.counters.received, frame.counters.processed) == (1, 1)
    assert (frame.model.model_name, frame.model.backend) == ("fake", "fake_backend")


def test_the_age_of_a_fresh_cloud_is_valid() -> None:
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        h.configure()
        h.activate()
        now = h.peer.get_clock().now().to_msg()
        h.publisher.publish(cloud_of(POINTS, stamp=(now.sec, now.nanosec)))
        assert wait_until(lambda: frames)
        assert frames[0].header_age_valid
        assert 0 < frames[0].header_age_ms < 5000


def test_an_empty_cloud_gives_an_empty_record() -> None:
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        h.configure()
        h.activate()
        h.publisher.publish(cloud_of(np.zeros((0, 4))))
        assert wait_until(lambda: frames)
        assert list(frames[0].boxes) == []


def test_bad_clouds_are_counted_and_reported_and_the_node_goes_on() -> None:
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        diagnostics = h.collect(DiagnosticArray, "/diagnostics")
        h.configure()
        h.activate()
        h.publisher.publish(truncated_cloud())
        assert wait_until(lambda: any(s.status[0].level == b"\x01" for s in diagnostics))
        h.models.state.failure = inference_failure()
        h.publisher.publish(cloud_of(POINTS))
        assert wait_until(lambda: h.models.state.entered == 1)
        assert wait_until(lambda: h.node.ledger.counters.snapshot().dropped["inference_error"] == 1)
        h.models.state.failure = None
        h.publisher.publish(cloud_of(POINTS))
        assert wait_until(lambda: frames)
        assert drops(frames[0]) == {"malformed": 1, "inference_error": 1}
        assert wait_until(lambda: _values(diagnostics[-1])["dropped.inference_error"] == "1")
        values = _values(diagnostics[-1])
        assert set(values) == set(processing_keys(CLOUDS))
        assert "failed on purpose" in values["last_error"]
        age = float(values["last_error_age_s"])
        assert wait_until(lambda: float(_values(diagnostics[-1])["last_error_age_s"]) > age)
        assert h.state() == STATES["active"]


def test_a_gpu_that_is_lost_stops_the_process() -> None:
    with Harness() as h:
        h.configure()
        h.activate()
        h.models.state.failure = DeviceLostError("cuda:0", "is lost")
        h.publisher.publish(cloud_of(POINTS))
        assert wait_until(lambda: h.node.fatal.stop.is_set())
        assert isinstance(h.node.fatal.error, DeviceLostError)
        assert h.node.ledger.counters.snapshot().dropped["inference_error"] == 1


def test_a_cloud_without_a_frame_is_malformed() -> None:
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        diagnostics = h.collect(DiagnosticArray, "/diagnostics")
        h.configure()
        h.activate()
        h.publisher.publish(cloud_of(POINTS, frame_id=""))
        assert wait_until(lambda: any("header.frame_id" in s.status[0].message for s in diagnostics))
        h.publisher.publish(cloud_of(POINTS))
        assert wait_until(lambda: frames)
        assert drops(frames[0]) == {"malformed": 1}


def test_stamps_may_go_back_or_be_missing() -> None:
    stamps = [(9, 0), (7, 5), (0, 0)]
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        h.configure()
        h.activate()
        for number, stamp in enumerate(stamps, start=1):
            h.publisher.publish(cloud_of(POINTS, stamp=stamp))
            assert wait_until(lambda number=number: len(frames) == number)
        assert [(f.header.stamp.sec, f.header.stamp.nanosec) for f in frames] == stamps
        assert not any(frame.header_age_valid for frame in frames)


def test_the_latest_cloud_wins_while_inference_runs() -> None:
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        h.configure()
        h.models.state.gate = threading.Event()
        h.activate()
        counters = h.node.ledger.counters
        for number in range(1, 5):
            h.publisher.publish(cloud_of(POINTS, stamp=(number, 0)))
            assert wait_until(lambda number=number: counters.snapshot().received == number)
            assert wait_until(lambda: h.models.state.entered == 1)
        h.models.state.gate.set()
        assert wait_until(lambda: len(frames) == 2)
        assert [frame.header.stamp.sec for frame in frames] == [1, 4]
        assert drops(frames[1]) == {"superseded": 2}


def test_the_node_answers_while_inference_runs() -> None:
    with Harness() as h:
        diagnostics = h.collect(DiagnosticArray, "/diagnostics")
        h.configure()
        h.models.state.gate = threading.Event()
        h.activate()
        h.publisher.publish(cloud_of(POINTS))
        assert wait_until(lambda: h.node.ledger.counters.snapshot().received == 1)
        assert h.state() == STATES["active"]
        assert h.set_parameters(**{"post_process_params.iou_nms_threshold": 0.3})[0].successful
        seen = len(diagnostics)
        assert wait_until(lambda: len(diagnostics) > seen)


def test_deactivating_counts_the_cloud_that_waits() -> None:
    with Harness() as h:
        h.configure()
        h.models.state.gate = threading.Event()
        h.activate()
        counters = h.node.ledger.counters
        h.publisher.publish(cloud_of(POINTS))
        assert wait_until(lambda: h.models.state.entered == 1)
        h.publisher.publish(cloud_of(POINTS))
        assert wait_until(lambda: counters.snapshot().received == 2)

        worker = h.node._stream.worker

        def finish_once_stopped() -> None:
            assert wait_until(lambda: worker._queue._closed)
            h.models.state.gate.set()

        thread = threading.Thread(target=finish_once_stopped)
        thread.start()
        assert h.change(Transition.TRANSITION_DEACTIVATE)
        thread.join()
        snapshot = counters.snapshot()
        assert (snapshot.processed, snapshot.dropped["deactivated"]) == (1, 1)


def test_a_node_that_cannot_be_configured_stays_unconfigured(capfd) -> None:
    with Harness(model_path="") as h:
        diagnostics = h.collect(DiagnosticArray, "/diagnostics")
        assert wait_until(lambda: diagnostics and diagnostics[-1].status[0].message == "unconfigured")
        assert diagnostics[-1].status[0].level == b"\x00"
        assert not h.configure()
        assert h.state() == STATES["unconfigured"]
        assert wait_until(lambda: diagnostics[-1].status[0].level == b"\x02")
        assert "ParameterError" in diagnostics[-1].status[0].message
        assert h.fatal.error is None
    assert "ParameterError: node parameters" in capfd.readouterr().err


def test_a_node_of_the_same_name_is_a_warning() -> None:
    with Harness() as h:
        diagnostics = h.collect(DiagnosticArray, "/diagnostics")
        h.configure()

        def told(words: str) -> bool:
            return wait_until(lambda: bool(diagnostics) and words in diagnostics[-1].status[0].message)

        def state() -> tuple:
            names = h.peer.get_node_names_and_namespaces()
            return h.fatal.error, h.spinning, len(diagnostics), diagnostics[-1:], names

        assert told("inactive"), state()
        other = rclpy.create_node("centerpoint", namespace="ns")
        assert told("another node is named /ns/"), state()
        assert diagnostics[-1].status[0].level == b"\x01"
        other.destroy_node()
        assert told("inactive"), state()


def test_a_node_that_is_destroyed_is_no_namesake_of_the_next(monkeypatch) -> None:
    # Whatever still refers to the first one, and before the collector looks.
    monkeypatch.setattr(gc, "collect", lambda: 0)
    gc.disable()
    try:
        with Harness() as first:
            assert first.configure()
        with Harness() as second:
            full_name = (second.node.get_name(), second.node.get_namespace())
            assert second.peer.get_node_names_and_namespaces().count(full_name) == 1
            diagnostics = second.collect(DiagnosticArray, "/diagnostics")
            assert second.configure()
            assert wait_until(lambda: diagnostics and diagnostics[-1].status[0].message == "inactive")
        first.node.destroy_node()
    finally:
        gc.enable()


def test_a_missing_message_package_is_a_clear_error(monkeypatch, capfd) -> None:
    monkeypatch.setattr("awml_deploy_ros.outputs.registry.find_spec", lambda package: None)
    with Harness(outputs=["detected_objects"]) as h:
        assert not h.configure()
        assert h.models.state.closed
    assert "detected_objects needs autoware_perception_msgs" in capfd.readouterr().err


def test_an_unexpected_exception_reaches_the_process(monkeypatch) -> None:
    with Harness() as h:
        h.configure()
        h.activate()
        h.models.state.failure = ZeroDivisionError("a bug")
        h.publisher.publish(cloud_of(POINTS))
        assert h.fatal.stop.wait(TIMEOUT_S)
        assert isinstance(h.fatal.error, ZeroDivisionError)


def test_an_unexpected_exception_while_configuring_reaches_the_process() -> None:
    with Harness() as h:
        h.models.state.failure = ZeroDivisionError("a bug")
        assert not h.configure()
        assert isinstance(h.fatal.error, ZeroDivisionError)


def _values(message: DiagnosticArray) -> dict[str, str]:
    return {item.key: item.value for item in message.status[0].values}
