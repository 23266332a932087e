"""Faults of time and of transforms."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from faults.case import Case, Outcome, World
from faults.rows import Expected

_SECONDS = 0.8
_LATE_S = 0.15
_NO_TRANSFORM = ("late_tf", "missing_tf")


def _without_transform(world: World) -> None:
    peer = world.rig.peer
    peer.cloud(peer.good, peer.stamp())


def _missing(world: World) -> Outcome:
    world.rig.stream(_SECONDS, lambda: _without_transform(world))
    does = "runs the sweep alone and says so in the record"
    return Outcome(Expected(does, without_past=_NO_TRANSFORM, processed=1, only=()))


def _late(world: World) -> Outcome:
    def send() -> None:
        stamp_ns = peer.stamp()
        peer.cloud(peer.good, stamp_ns)
        time.sleep(_LATE_S)
        peer.transform(stamp_ns)

    peer = world.rig.peer
    world.rig.stream(_SECONDS, send)
    return Outcome(
        Expected("runs the sweep alone and says so in the record", without_past=_NO_TRANSFORM, only=())
    )


def _dropped_without(world: World) -> Outcome:
    """For a node with ``on_missing_tf: drop``."""
    world.rig.stream(_SECONDS, lambda: _without_transform(world))
    # A transform that is only late may be that of any of them.
    counters = world.rig.peer.counters().dropped
    world.rig.settle()
    after = world.rig.peer.counters().dropped
    number = sum(after.get(name, 0) - counters.get(name, 0) for name in _NO_TRANSFORM)
    problems = [] if number else ["no cloud was dropped for want of a transform"]
    return Outcome(Expected("drops the cloud as missing_tf or late_tf", only=_NO_TRANSFORM), problems)


def _jumping_pose(world: World) -> Outcome:
    peer = world.rig.peer

    def send() -> None:
        stamp_ns = peer.stamp()
        peer.transform(stamp_ns, x=1000.0 * (peer.sent % 2))
        peer.cloud(peer.good, stamp_ns)

    world.rig.stream(_SECONDS, send)
    does = "believes it, goes on"
    return Outcome(Expected(does, processed=1, only=()))


def _broken(world: World) -> Outcome:
    peer = world.rig.peer
    rotations = (math.nan, 0.0, math.inf)

    def send() -> None:
        stamp_ns = peer.stamp()
        peer.transform(stamp_ns, rotation_w=rotations[peer.sent % len(rotations)])
        peer.cloud(peer.good, stamp_ns)

    world.rig.stream(_SECONDS, send)
    problems = [] if "left out:" in world.rig.log() else ["the node does not say that it left them out"]
    does = "leaves them out with a warning, runs the sweep alone"
    return Outcome(Expected(does, without_past=_NO_TRANSFORM, only=()), problems)


def _stamped(world: World, offsets_s: Sequence[float], *, transforms: bool = True) -> None:
    """Publish clouds at offsets from now, each in its turn and looked at."""
    peer = world.rig.peer
    for offset_s in offsets_s:
        stamp_ns = peer.stamp(offset_s)
        if transforms:
            peer.transform(stamp_ns)
        peer.cloud(peer.good, stamp_ns)
        peer.wait_for_frame(stamp_ns, world.rig.patience_s)


def _back(world: World) -> Outcome:
    _stamped(world, (-20.0, -20.0, 0.0, -0.5, 0.0))
    told = "time of /tf jumped back" in world.rig.log()
    problems = [] if told else ["the node does not say that it forgot the transforms"]
    does = "forgets past sweeps and, beyond a second, transforms; goes on"
    return Outcome(Expected(does, without_past=("time_jumped_back",), processed=3, only=()), problems)


def _clouds_back_alone(world: World) -> Outcome:
    _stamped(world, (-20.0, -20.0), transforms=False)
    expected = Expected(
        "runs the sweep alone: no such pose", without_past=("time_jumped_back", *_NO_TRANSFORM), only=()
    )
    return Outcome(expected)


def _ahead(world: World) -> Outcome:
    frames = len(world.rig.peer.frames)
    _stamped(world, (3600.0, 3600.1, 0.0))
    aged = [record.header_age_valid for record in world.rig.peer.frames[frames : frames + 2]]
    problems = ["a cloud of the future has an age"] if any(aged) else []
    does = "uses no past sweep across the jump; the age of the cloud is no number but a reason"
    expected = Expected(does, without_past=("past_too_old", "time_jumped_back"), processed=2, only=())
    return Outcome(expected, problems)


def _same(world: World) -> Outcome:
    peer = world.rig.peer
    stamp_ns = peer.stamp()
    peer.transform(stamp_ns)
    before = len(peer.frames)
    for _ in range(3):
        peer.cloud(peer.good, stamp_ns)
        time.sleep(2.0 / world.rig.rate_hz)
    facts = [f"{len(peer.frames) - before} stamp"]
    return Outcome(
        Expected("a cloud is never its own past sweep", without_past=("same_stamp",), only=()), (), facts
    )


def _zero(world: World) -> Outcome:
    peer = world.rig.peer
    peer.cloud(peer.good, 0)
    record: Any = peer.wait_for_frame(0, world.rig.patience_s)
    problems = [] if record is not None and not record.header_age_valid else ["an age without a stamp"]
    return Outcome(Expected("processes it; no age without a stamp", processed=1, only=()), problems)


CASES = (
    Case("missing TF", _missing),
    Case("late TF", _late),
    Case("TF jumps by a kilometre", _jumping_pose),
    Case("TF with NaN, zero and infinite rotations", _broken),
    Case("time goes back", _back),
    Case("time of the clouds goes back, TF does not", _clouds_back_alone),
    Case("time goes ahead", _ahead),
    Case("one stamp again and again", _same),
    Case("no stamp", _zero),
)
DROP_CASES = (Case("missing TF, on_missing_tf: drop", _dropped_without),)
