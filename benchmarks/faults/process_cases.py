"""Faults of processes, parameters and the disk."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from awml_deploy_ros.live.child import ChildProcess
from awml_deploy_ros.transport import large_cloud_environment
from faults.case import Case, Outcome, World
from faults.rows import NODE_ENDED, Expected

_KILLED = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_PLAYED_S = 0.8
_STOPPED_S = 2.0
_FILE_LIMIT = 1_000_000
_MARGIN_MB = 4
_IN_NODE = 8
"""Clouds that a killed node takes with it: in work, in its queue and in the middleware's."""


def _player(world: World, *arguments: str) -> ChildProcess:
    # Not remapped: the node listens to the bag's own topic.
    return ChildProcess(
        "bag_player",
        (str(world.bag), "--rate", str(world.rig.rate_hz), *arguments),
        world.folder / f"bag_player_{time.monotonic_ns()}.log",
        {**os.environ, **large_cloud_environment()},
    )


def _known(world: World) -> int:
    """Clouds that the node knows of, those lost on the way included."""
    counters = world.rig.peer.counters()
    return counters.received + counters.dropped.get("lost_in_transport", 0)


def _looping(world: World) -> Outcome:
    rig = world.rig
    report = world.folder / "looping.json"
    with _player(world, "--loops", "2", "--linger", "1.5", "--report", str(report)) as player:
        deadline = time.monotonic() + rig.patience_s + 60.0
        while player.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.05)
    sent = int(json.loads(report.read_text(encoding="utf-8"))["frames"])
    does = "forgets sweeps and transforms at each jump back; goes on"
    expected = Expected(does, without_past=("time_jumped_back",), processed=2, only=())
    return Outcome(expected, sent_by_others=sent)


def _ended_player(world: World, number: signal.Signals) -> Outcome:
    rig = world.rig
    before, sent_before = _known(world), rig.peer.sent
    frames = len(rig.peer.frames)
    with _player(world, "--loops", "0") as player:
        rig.peer.wait(lambda: len(rig.peer.frames) > frames, rig.patience_s)
        time.sleep(_PLAYED_S)
        os.kill(player.pid, number)
        deadline = time.monotonic() + rig.patience_s
        while player.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.02)
        code = player.exit_code
    rig.settle()
    # A player that is killed cannot say what it sent: what arrived or is known to be lost counts.
    sent = _known(world) - before - (rig.peer.sent - sent_before)
    wanted = -number if number == signal.SIGKILL else 0
    problems = [] if code == wanted else [f"the player ended with code {code}"]
    does = "processes what has arrived; goes on with who publishes next"
    return Outcome(Expected(does, processed=1, only=()), problems, sent_by_others=sent)


def _stopped(world: World) -> Outcome:
    rig = world.rig
    os.kill(rig.node.pid, signal.SIGSTOP)
    try:
        rig.stream(_STOPPED_S)
    finally:
        os.kill(rig.node.pid, signal.SIGCONT)
    does = "counts each cloud of that time as lost in transport or superseded"
    return Outcome(Expected(does, {"lost_in_transport": 1}, only=()))


def _parameters(world: World) -> Outcome:
    rig = world.rig
    good = [{"post_process_params.circle_nms_dist_threshold": 1.0 + 0.1 * index} for index in range(5)]
    bad: list[dict[str, Any]] = [
        {"post_process_params.circle_nms_dist_threshold": -1.0},
        {"post_process_params.circle_nms_dist_threshold": "wide"},
        {"num_threads": 4},
        {"no_such_parameter": 1},
    ]
    problems: list[str] = []
    for values, accepted in [*((v, True) for v in good), *((v, False) for v in bad)]:
        rig.stream(0.2)
        answer = rig.peer.set_parameters(rig.patience_s, **values)
        if answer != [accepted]:
            problems.append(f"{values}: {'no answer' if answer is None else answer}")
    rig.peer.set_parameters(rig.patience_s, **{"post_process_params.circle_nms_dist_threshold": 0.5})
    does = "takes what is valid, refuses what is invalid, unknown or fixed at start"
    return Outcome(Expected(does, processed=1, only=()), problems)


def _trigger(world: World, key: str) -> list[str]:
    """Ask for a snippet by a burst of clouds; return what is wrong if the node's count does not grow."""
    peer, rig = world.rig.peer, world.rig

    def count() -> int:
        return int(peer.status("snippets").get(key, "0"))

    before = count()
    deadline = time.monotonic() + rig.patience_s
    while count() == before:
        if time.monotonic() > deadline:
            return [f"no snippet is {key}: {peer.status('snippets')}"]
        rig.stream(0.1, lambda: [peer.good_cloud() for _ in range(4)])
        peer.wait(lambda: count() > before, 1.5)
    return []


def _disk(world: World, fill: Callable[[], Callable[[], None]], does: str) -> Outcome:
    """Write one snippet, fail, and write one again once there is room."""
    problems = _trigger(world, "written")
    make_room = fill()
    try:
        problems += _trigger(world, "failed")
        error = world.rig.peer.status("snippets").get("last_error", "")
    finally:
        make_room()
    problems += _trigger(world, "written")
    partial_ones = [path.name for path in world.snippets.glob(".*")]
    problems += [f"left {name} behind" for name in partial_ones]
    problems += [] if error else ["no reason in diagnostics"]
    return Outcome(Expected(does, processed=1, only=()), problems, [error])


def _file_limit(world: World) -> Outcome:
    pid = world.rig.node.pid

    def fill() -> Callable[[], None]:
        soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FILE_LIMIT, hard))
        return lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard)) and None

    return _disk(world, fill, "drops the half-written snippet, WARN with the reason; writes the next")


def _folder_gone(world: World) -> Outcome:
    def fill() -> Callable[[], None]:
        shutil.rmtree(world.snippets)
        world.snippets.write_text("", encoding="utf-8")
        return put_back

    def put_back() -> None:
        world.snippets.unlink()
        world.snippets.mkdir()

    return _disk(world, fill, "WARN with the reason; writes the next once the folder is back")


def _full(world: World) -> Outcome:
    ballast = world.snippets.parent / "ballast"

    def fill() -> Callable[[], None]:
        # Older snippets would make room.
        for snippet in world.snippets.iterdir():
            shutil.rmtree(snippet)
        free = shutil.disk_usage(world.snippets).free
        ballast.write_bytes(bytes(max(0, free - _MARGIN_MB * 1_000_000)))
        return ballast.unlink

    return _disk(world, fill, "WARN with the reason once no older snippet can make room; writes the next")


def _not_small(world: World) -> str:
    if world.snippets.parent.is_mount():
        return ""
    return "the snippets' folder is no small file system of its own (--tmpfs, as root)"


def _ended_node(world: World, number: signal.Signals, *more: str, reliable: bool = False) -> Outcome:
    rig = world.rig
    before = rig.mark()
    rig.stream(0.5)
    # Nothing is on its way when the signal comes; the node has a frame in work or one in its queue.
    time.sleep(1.0 / rig.rate_hz)
    sent_alive = rig.peer.sent
    code = rig.end(number)
    problems = []
    wanted = -number if number == signal.SIGKILL else 0
    if code != wanted:
        problems.append(f"ended with code {code}, expected {wanted}")
    ended = rig.peer.counters() if number == signal.SIGKILL else rig.final_counters()
    sent = rig.peer.sent - before.sent
    gone = sent - (ended.accounted - before.counters.accounted)
    room = rig.peer.sent - sent_alive + (_IN_NODE if number == signal.SIGKILL else 0)
    if not 0 <= gone <= room:
        problems.append(f"{gone} clouds are missing, of which at most {room} were sent to an ended node")
    log = rig.troubles(before.log_bytes)
    started = time.monotonic()
    rig.start(*more, reliable=reliable)
    facts = [f"exit code {code}, processes again {time.monotonic() - started:.1f} s after the next start"]
    does = (
        "killed; the next one takes over"
        if number == signal.SIGKILL
        else ("says what it counted, exit code 0; the next one takes over")
    )
    return Outcome(
        Expected(does, only=("deactivated", NODE_ENDED)), problems, facts, 0, ended, gone, sent, log
    )


def _unheard(world: World) -> Outcome:
    """For a node whose input asks for reliable clouds."""
    rig = world.rig
    before = rig.peer.sent
    rig.stream(1.5)
    # Offered, but to nobody: they never were on their way to the node.
    offered, rig.peer.sent = rig.peer.sent - before, before
    told = rig.peer.wait(
        lambda: "no cloud for" in rig.peer.status("processing").get("message", ""), rig.patience_s
    )
    problems = [] if told else ["diagnostics do not say that no cloud comes"]
    problems += [] if "incompatible QoS" in rig.log() else ["the node does not name the incompatible QoS"]
    facts = [f"{offered} clouds were offered by a publisher that does not fit"]
    does = "names the policy in its log, WARN that no cloud comes; hears a publisher that fits"
    return Outcome(Expected(does, processed=1, only=()), problems, facts)


CASES = (
    Case("a bag loops", _looping),
    *(Case(f"player ended by {n.name}", partial(_ended_player, number=n)) for n in _KILLED),
    Case("node stopped for 2 s (SIGSTOP)", _stopped),
    Case("parameters change at run time", _parameters),
    Case("disk: a write of a snippet fails half-way", _file_limit),
    Case("disk: the folder of the snippets is gone", _folder_gone),
    Case("disk full", _full, _not_small),
)


def ended_node(number: signal.Signals, *more: str, reliable: bool = False) -> Case:
    """The node is ended by a signal and started again with further arguments."""
    return Case(
        f"node ended by {number.name}", lambda world: _ended_node(world, number, *more, reliable=reliable)
    )


QOS_CASE = Case("QoS mismatch of the publisher", _unheard)


def snippet_arguments(folder: Path) -> list[str]:
    """Parameters with which a burst of clouds is worth a snippet."""
    values = {
        "snippets.folder": folder,
        "snippets.seconds_before": 0.3,
        "snippets.seconds_after": 0.0,
        "snippets.min_interval_s": 0.0,
        "snippets.max_total_mb": 60.0,
        "snippets.min_free_mb": 0.0,
    }
    return [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
