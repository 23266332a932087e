"""Past sweeps and transforms in the running node, over real DDS."""

import threading
import time

import numpy as np
import pytest
from awml_deploy_msgs.msg import DetectionFrame
from clouds import cloud_of
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from harness import STATES, Harness, wait_until
from lifecycle_msgs.msg import Transition
from processes import TIMEOUT_S
from tf2_msgs.msg import TFMessage

from awml_deploy_ros.tf.listener import moving_qos, static_qos

pytestmark = pytest.mark.usefixtures("ros_for_all")
POINTS = np.array([[10.0, 0.0, 1.0, 50.0]], np.float32)
SPEED = 10.0
LONG_MS = 10_000.0


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """A busy machine is silent for longer than a vehicle."""
    monkeypatch.setattr("awml_deploy_ros.tf.buffer._SILENCE_S", TIMEOUT_S)


def transform(parent: str, child: str, tenths: int, x: float) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, rest = divmod(tenths, 10)
    message.header.stamp.nanosec = rest * 100_000_000
    message.transform.translation.x = x
    return message


class Vehicle(Harness):
    """Drives along x at 10 m/s; publishes its transforms and clouds. Times are tenths of a second."""

    def __init__(self, **parameters) -> None:
        named = {f"densification_params.{name}": value for name, value in parameters.items()}
        super().__init__(**named)
        self.moving = self.peer.create_publisher(TFMessage, "/tf", moving_qos())
        self.fixed = self.peer.create_publisher(TFMessage, "/tf_static", static_qos())
        # Before the node subscribes, which has to learn of it all the same.
        self.fixed.publish(TFMessage(transforms=[transform("base_link", "lidar", 0, 1.0)]))
        self.frames = self.collect(DetectionFrame, "output/frame")
        self.diagnostics = self.collect(DiagnosticArray, "/diagnostics")

    def drive(self) -> None:
        assert self.configure()
        assert self.activate()
        subscriptions = self.node._stream.transforms._subscriptions
        publishers = (self.moving, self.fixed)
        assert wait_until(
            lambda: (
                all(s.get_publisher_count() for s in subscriptions)
                and all(p.get_subscription_count() for p in publishers)
            )
        )
        self.wait_for_lidar()

    def wait_for_lidar(self) -> None:
        """Static frames come by themselves, but not at once."""
        store = self.node._stream.worker.preparation._densifier._transforms._store
        assert wait_until(lambda: "lidar" in store._static)

    def move(self, *tenths: int) -> None:
        """Publish where the vehicle is, and wait until the node knows."""
        buffer = self.node._stream.worker.preparation._densifier._transforms
        for time_ in tenths:
            x = SPEED * 0.1 * time_
            self.moving.publish(TFMessage(transforms=[transform("map", "base_link", time_, x)]))
        wanted = tenths[-1] * 100_000_000
        assert wait_until(lambda: buffer._newest_ns.get("base_link") == wanted)

    def send(self, tenths: int, frame_id: str = "lidar") -> None:
        seconds, rest = divmod(tenths, 10)
        self.publisher.publish(cloud_of(POINTS, frame_id, (seconds, rest * 100_000_000)))

    def see(self, tenths: int, frame_id: str = "lidar") -> DetectionFrame:
        """The record of a cloud."""
        count = len(self.frames)
        self.send(tenths, frame_id)
        assert wait_until(lambda: len(self.frames) == count + 1)
        return self.frames[-1]

    def values(self) -> dict[str, str]:
        return {item.key: item.value for item in self.diagnostics[-1].status[0].values}


def outcome(frame: DetectionFrame) -> tuple[int, str]:
    return frame.num_past_sweeps, frame.no_past_sweeps_reason


def test_a_past_sweep_is_moved_by_what_the_vehicle_drove() -> None:
    with Vehicle() as vehicle:
        vehicle.drive()
        vehicle.move(100, 102)
        assert outcome(vehicle.see(100)) == (0, "first_frame")
        assert outcome(vehicle.see(101)) == (1, "")
        current, past = vehicle.models.state.samples[-1].sweeps
        np.testing.assert_allclose(past.transform[:3, 3], [-1.0, 0.0, 0.0], atol=1e-9)
        assert (current.time_lag, past.time_lag) == (0.0, pytest.approx(0.1))
        assert wait_until(lambda: vehicle.values().get("with_past_sweeps") == "1")
        assert vehicle.values().get("without_past_sweeps.first_frame") == "1"
        stages = [stage.name for stage in vehicle.frames[-1].stages]
        assert {"tf_wait", "densify"} <= set(stages)


def test_a_transform_that_comes_late_is_waited_for_while_the_node_answers() -> None:
    with Vehicle(tf_timeout_ms=LONG_MS) as vehicle:
        vehicle.drive()
        vehicle.move(100)
        vehicle.see(100)
        vehicle.send(101)
        counters = vehicle.node.ledger.counters
        assert wait_until(lambda: counters.snapshot().received == 2)
        assert vehicle.state() == STATES["active"]
        # The latest cloud wins, whatever the one in work waits for.
        vehicle.send(102)
        assert wait_until(lambda: counters.snapshot().received == 3)
        vehicle.send(103)
        assert wait_until(lambda: counters.snapshot().dropped["superseded"] == 1)
        assert len(vehicle.frames) == 1
        vehicle.move(104)
        assert wait_until(lambda: len(vehicle.frames) == 3)
        assert [outcome(frame) for frame in vehicle.frames[1:]] == [(1, ""), (1, "")]
        assert [frame.header.stamp.nanosec // 100_000_000 for frame in vehicle.frames] == [0, 1, 3]
        waited = {stage.name: stage.milliseconds for stage in vehicle.frames[1].stages}["tf_wait"]
        assert 0 < waited < LONG_MS


def test_a_transform_that_never_comes_leaves_the_frame_alone_and_is_a_warning() -> None:
    with Vehicle(tf_timeout_ms=20.0) as vehicle:
        vehicle.drive()
        vehicle.move(100)
        vehicle.see(100)
        frame = vehicle.see(101)
        assert outcome(frame) == (0, "late_tf")
        assert len(frame.boxes) == 1
        assert wait_until(
            lambda: any(
                "without past sweeps: transform from lidar to map" in message.status[0].message
                and message.status[0].level == b"\x01"
                for message in vehicle.diagnostics
            )
        )
        assert wait_until(lambda: vehicle.values().get("without_past_sweeps.late_tf") == "1")


def test_a_frame_whose_transform_never_comes_is_dropped_where_that_is_asked_for() -> None:
    with Vehicle(tf_timeout_ms=20.0, on_missing_tf="drop") as vehicle:
        vehicle.drive()
        vehicle.move(100)
        assert outcome(vehicle.see(100)) == (0, "first_frame")
        counters = vehicle.node.ledger.counters
        vehicle.send(101)
        assert wait_until(lambda: counters.snapshot().dropped["late_tf"] == 1)
        vehicle.send(101, "nowhere")
        assert wait_until(lambda: counters.snapshot().dropped["missing_tf"] == 1)
        assert wait_until(
            lambda: any("_tf: Missing" in message.status[0].message for message in vehicle.diagnostics)
        )
        vehicle.move(102)
        assert outcome(vehicle.see(102)) == (1, "")
        snapshot = counters.snapshot()
        assert snapshot.received == snapshot.processed + sum(snapshot.dropped.values())


def test_a_cloud_in_a_frame_that_nobody_publishes_misses_its_transform() -> None:
    with Vehicle(tf_timeout_ms=LONG_MS) as vehicle:
        vehicle.drive()
        vehicle.move(100, 102)
        assert outcome(vehicle.see(100, "nowhere")) == (0, "first_frame")
        # At once: waiting would not help.
        assert outcome(vehicle.see(101, "nowhere")) == (0, "missing_tf")
        assert outcome(vehicle.see(102)) == (0, "other_frame_id")


def test_a_bag_that_loops_starts_anew() -> None:
    with Vehicle() as vehicle:
        vehicle.drive()
        for _ in range(2):
            for tenths in (80, 100, 101):
                vehicle.move(tenths)
                vehicle.see(tenths)
    others = [(0, "past_too_old"), (1, "")]
    expected = [(0, "first_frame"), *others, (0, "time_jumped_back"), *others]
    assert [outcome(frame) for frame in vehicle.frames] == expected


def test_transforms_from_before_a_jump_are_not_used_after_it() -> None:
    with Vehicle(tf_timeout_ms=20.0) as vehicle:
        vehicle.drive()
        vehicle.move(200, 205)
        vehicle.see(200)
        # The transforms jump back, clouds follow; what lies ahead now is not known yet.
        vehicle.move(100)
        assert outcome(vehicle.see(204)) == (0, "late_tf")
        assert outcome(vehicle.see(100)) == (0, "time_jumped_back")
        vehicle.move(101)
        assert outcome(vehicle.see(101)) == (1, "")


def test_deactivating_ends_a_wait_and_forgets_the_past() -> None:
    with Vehicle(tf_timeout_ms=LONG_MS) as vehicle:
        vehicle.drive()
        vehicle.move(100)
        vehicle.see(100)
        vehicle.send(101)
        assert wait_until(lambda: vehicle.node.ledger.counters.snapshot().received == 2)
        start = time.monotonic()
        assert vehicle.change(Transition.TRANSITION_DEACTIVATE)
        assert time.monotonic() - start < LONG_MS * 1e-3
        assert wait_until(lambda: len(vehicle.frames) == 2)
        assert vehicle.activate()
        assert outcome(vehicle.see(102)) == (0, "first_frame")
        assert threading.active_count() < 10


def test_a_transform_that_is_none_is_left_out_with_a_warning(capfd) -> None:
    with Vehicle() as vehicle:
        vehicle.drive()
        vehicle.move(100)
        vehicle.moving.publish(TFMessage(transforms=[transform("map", "base_link", 101, float("nan"))]))
        vehicle.move(102)
        vehicle.see(100)
        assert outcome(vehicle.see(101)) == (1, "")
        past = vehicle.models.state.samples[-1].sweeps[1]
        np.testing.assert_allclose(past.transform[:3, 3], [-1.0, 0.0, 0.0], atol=1e-9)
    assert "left out: transform from base_link to map: is not finite" in capfd.readouterr().err


def test_without_past_sweeps_no_transforms_are_needed(monkeypatch, capfd) -> None:
    monkeypatch.setattr("awml_deploy_ros.tf.listener.find_spec", lambda package: None)
    with Vehicle() as vehicle:
        assert not vehicle.configure()
    assert "tf2_msgs/msg/TFMessage: message package is not installed" in capfd.readouterr().err
    with Vehicle(num_past_frames=0) as vehicle:
        assert vehicle.configure()
        assert vehicle.activate()
        assert vehicle.node._stream.transforms is None
        assert outcome(vehicle.see(100)) == (0, "disabled")
        assert "densify" not in [stage.name for stage in vehicle.frames[-1].stages]


def test_a_cloud_that_was_superseded_is_a_past_sweep_all_the_same() -> None:
    with Vehicle() as vehicle:
        vehicle.drive()
        vehicle.move(100, 104)
        vehicle.models.state.gate = threading.Event()
        counters = vehicle.node.ledger.counters
        for number, tenths in enumerate((100, 101, 102, 103), start=1):
            vehicle.send(tenths)
            assert wait_until(lambda number=number: counters.snapshot().received == number)
            assert wait_until(lambda: vehicle.models.state.entered == 1)
        vehicle.models.state.gate.set()
        assert wait_until(lambda: len(vehicle.frames) == 2)
        assert outcome(vehicle.frames[1]) == (1, "")
        assert list(vehicle.frames[1].past_sweep_ages) == [pytest.approx(0.1)]
        current, past = vehicle.models.state.samples[-1].sweeps
        assert (current.time_lag, past.time_lag) == (0.0, pytest.approx(0.1))
        assert counters.snapshot().dropped["superseded"] == 2
