"""Faults of the clouds themselves, and of who listens."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from awml_deploy_msgs.msg import DetectionFrame
from rclpy.qos import DurabilityPolicy, QoSProfile
from visualization_msgs.msg import MarkerArray

from awml_deploy_ros.topics import FRAME, MARKERS
from faults import clouds
from faults.case import Case, Outcome, World
from faults.clouds import Change
from faults.rows import Expected

_LARGE = 2_000_000
_RESTARTS = 5


def _send(world: World, change: Change) -> int:
    """Publish a changed cloud with its transform; return its stamp."""
    return _publish(world, clouds.changed(world.cloud, change))


def _publish(world: World, cloud: Any) -> int:
    stamp_ns = world.rig.peer.stamp()
    world.rig.peer.message(cloud, stamp_ns)
    return stamp_ns


def _malformed(world: World) -> Outcome:
    kinds = clouds.malformed(world.cloud)
    for change in kinds.values():
        world.rig.alone(partial(_send, world, change), "malformed")
    expected = Expected("drops each with the reason and what is wrong", {"malformed": len(kinds)}, only=())
    return Outcome(expected, facts=[f"{len(kinds)} kinds: {', '.join(kinds)}"])


def _taken(world: World, kinds: Mapping[str, Change], expected: str) -> Outcome:
    """Publish clouds that the node has to process."""
    problems, facts = [], []
    for name, change in kinds.items():
        for _ in range(3):
            stamp_ns = _send(world, change)
            record = world.rig.peer.wait_for_frame(stamp_ns, world.rig.patience_s)
            if record is not None:
                break
        if record is None:
            problems.append(f"{name}: no record")
        else:
            facts.append(f"{name}: {len(record.boxes)} boxes of {record.points.points_finite} points")
    return Outcome(Expected(expected, processed=len(kinds), only=()), problems, facts)


def _odd(world: World) -> Outcome:
    return _taken(world, clouds.odd(world.cloud), "runs on what the cloud says it is")


def _empty(world: World) -> Outcome:
    does = "publishes a record: what the past sweep shows, then no boxes"
    kinds = clouds.empty(world.cloud)
    outcome = _taken(world, {"after a good cloud": next(iter(kinds.values())), **kinds}, does)
    wrong = [fact for fact in outcome.facts[1:] if ": 0 boxes of 0 points" not in fact]
    return Outcome(outcome.expected, [*outcome.problems, *wrong], outcome.facts)


def _large(world: World) -> Outcome:
    kinds = {f"{_LARGE} points": clouds.sized(world.cloud, _LARGE)}
    return _taken(world, kinds, "runs on it")


def _storm(world: World) -> Outcome:
    rig = world.rig
    all_bad = clouds.not_finite(world.cloud, 1.0, is_dense=False)
    outcome = _taken(world, {"all NaN": all_bad}, "leaves the points out")
    half = clouds.changed(world.cloud, clouds.not_finite(world.cloud, 0.5, is_dense=False))
    dense = clouds.changed(world.cloud, clouds.not_finite(world.cloud, 0.5, is_dense=True))
    for cloud in (half, dense):
        rig.stream(1.0, partial(_publish, world, cloud))
    does = "leaves such points out; drops the cloud if it says is_dense"
    expected = Expected(does, {"malformed": 1}, processed=3, only=())
    return Outcome(expected, outcome.problems, outcome.facts)


def _burst(world: World) -> Outcome:
    for _ in range(3):
        world.rig.stream(0.1, lambda: [world.rig.peer.good_cloud() for _ in range(4)])
    return Outcome(Expected("takes the latest, counts the others as superseded", only=()))


def _other_frame(world: World) -> Outcome:
    def rename(cloud: Any) -> None:
        cloud.header.frame_id = "no_such_frame"

    kinds = {"frame no_such_frame": rename}
    outcome = _taken(world, kinds, "")
    expected = Expected(
        "runs the sweep alone, and so the next good one",
        without_past=("other_frame_id", "missing_tf"),
        processed=1,
        only=(),
    )
    return Outcome(expected, outcome.problems, outcome.facts)


def _restarting_subscribers(world: World) -> Outcome:
    rig = world.rig
    node = rig.peer.node
    for _ in range(_RESTARTS):
        subscriptions = [
            node.create_subscription(DetectionFrame, FRAME.of(rig.peer.node_name), _ignore, 5),
            node.create_subscription(MarkerArray, MARKERS.of(rig.peer.node_name), _ignore, 5),
        ]
        rig.stream(0.3)
        for subscription in subscriptions:
            node.destroy_subscription(subscription)
    return Outcome(Expected("goes on", processed=_RESTARTS, only=()))


def _ignore(_: Any) -> None:
    pass


def _greedy_subscriber(world: World) -> Outcome:
    rig = world.rig
    qos = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    heard: list[Any] = []
    subscription = rig.peer.node.create_subscription(
        DetectionFrame, FRAME.of(rig.peer.node_name), heard.append, qos
    )
    rig.stream(1.0)
    rig.peer.node.destroy_subscription(subscription)
    problems = ["records reached it"] if heard else []
    logged = "incompatible QoS" in rig.log()
    problems += [] if logged else ["the node does not say that a subscriber's QoS is incompatible"]
    return Outcome(Expected("warns, serves the others", processed=1, only=()), problems)


CASES = (
    Case("malformed clouds", _malformed),
    Case("strange clouds", _odd),
    Case("2-million-point cloud", _large),
    Case("empty clouds", _empty),
    Case("NaN storm", _storm),
    Case("bursts of clouds", _burst),
    Case("wrong frame id", _other_frame),
    Case("subscribers restart", _restarting_subscribers),
    Case("QoS mismatch of a subscriber", _greedy_subscriber),
)
