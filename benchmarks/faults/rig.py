"""The node in a process of its own, fed at a rate, watched, ended and started again."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awml_deploy_core.errors import ProcessError
from awml_deploy_ros.live.child import ChildProcess
from awml_deploy_ros.live.run import NODE_NAME
from awml_deploy_ros.live.status import LiveCounters
from awml_deploy_ros.topics import POINT_CLOUD
from awml_deploy_ros.transport import large_cloud_environment
from faults.peer import Peer

_TROUBLE = re.compile(r"\[(?:WARN|ERROR|FATAL)\].*|^Traceback.*|^Fatal Python error.*", re.MULTILINE)
_PREFIX = re.compile(r"^\[(\w+)\] \[[\d.]+\] \[[^\]]*\]: ")
_FINAL = re.compile(
    r"not active any more: (\d+) received, (\d+) processed(?:, dropped: (.*))?$", re.MULTILINE
)
_TRIES = 20
_SHOWN = 4


@dataclass(frozen=True)
class Mark:
    """Where a case begins."""

    sent: int
    counters: LiveCounters
    frames: int
    log_bytes: int


class Rig:
    """Starts the node and keeps it fed.

    Args:
        peer: What feeds it.
        folder: Gets its logs.
        arguments: Of the node, after ``--ros-args``, in every start.
        topic: Of the clouds.
        rate_hz: Of good clouds.
        patience_s: How long an event may take.
    """

    def __init__(
        self,
        peer: Peer,
        folder: Path,
        arguments: Sequence[str],
        topic: str,
        rate_hz: float,
        patience_s: float,
    ) -> None:
        self.peer = peer
        self.folder = folder
        self.topic = topic
        self.rate_hz = rate_hz
        self.patience_s = patience_s
        self._arguments = arguments
        self._reliable = False
        self._starts = 0
        self._node: ChildProcess | None = None

    @property
    def node(self) -> ChildProcess:
        assert self._node is not None
        return self._node

    @property
    def alive(self) -> bool:
        return self.node.exit_code is None

    def start(self, *more: str, reliable: bool = False) -> None:
        """Start the node and wait until it processes clouds.

        Args:
            more: Further arguments of this start.
            reliable: Whether it asks for clouds that are published as reliable.

        Raises:
            ProcessError: It ends, or processes nothing in time.
        """
        self._starts += 1
        self._reliable = reliable
        self._node = ChildProcess(
            "centerpoint_node",
            ("--ros-args", *self._arguments, *more, "-r", f"{POINT_CLOUD.name}:={self.topic}"),
            self.folder / f"node_{self._starts}.log",
            {**os.environ, **large_cloud_environment()},
        )
        deadline = time.monotonic() + self.patience_s
        while not self.peer.connected(reliable=reliable) or "active on" not in self.log():
            self._node.require_running()
            if time.monotonic() > deadline:
                raise self._node.failure(f"is not active after {self.patience_s:g} s")
            time.sleep(0.05)
        if self.settle() is None:
            raise self._node.failure(f"processed none of {_TRIES} good clouds")

    def stop(self) -> None:
        """End the node, whatever it does."""
        if self._node is not None:
            self._node.__exit__(None, None, None)

    def log(self, start: int = 0) -> str:
        """What the node has logged since a byte."""
        return self.node.log.read_bytes()[start:].decode(errors="replace")

    def troubles(self, start: int) -> tuple[str, ...]:
        """Its warnings and errors since a byte of the log, the first of a kind."""
        lines = [_PREFIX.sub(r"\1 ", line) for line in _TROUBLE.findall(self.log(start))]
        return tuple(dict.fromkeys(lines))[:_SHOWN]

    def mark(self) -> Mark:
        """The state before a fault; :meth:`settle` has come before."""
        return Mark(
            self.peer.sent, self.peer.counters(), len(self.peer.frames), self.node.log.stat().st_size
        )

    def stream(self, seconds: float, send: Callable[[], Any] | None = None) -> int:
        """Publish good clouds, or what ``send`` publishes, at the rate; return how many."""
        send = self.peer.good_cloud if send is None else send
        count = max(1, round(seconds * self.rate_hz))
        start = time.monotonic()
        for index in range(count):
            time.sleep(max(0.0, start + index / self.rate_hz - time.monotonic()))
            send()
        return count

    def settle(self) -> int | None:
        """Publish good clouds one by one until one is processed: then all before it are accounted for.

        Returns:
            How many it took; None if none of many was processed or the node has ended.
        """
        timeout_s = max(1.0, self.patience_s / _TRIES)
        for number in range(1, _TRIES + 1):
            if not self.alive:
                return None
            stamp_ns = self.peer.good_cloud(reliable=self._reliable)
            if self.peer.wait_for_frame(stamp_ns, timeout_s) is not None:
                return number
        return None

    def alone(self, send: Callable[[], Any], reason: str) -> None:
        """Publish one faulty cloud so that it is looked at: again, if a later one superseded it."""
        for _ in range(_TRIES):
            before = self.peer.counters().dropped.get(reason, 0)
            send()
            # What is refused has no record, so the next good cloud has to tell.
            time.sleep(1.0 / self.rate_hz)
            self.settle()
            if self.peer.counters().dropped.get(reason, 0) > before:
                return

    def without_past(self, mark: Mark) -> dict[str, int]:
        """Frames without past sweeps since a mark, by reason."""
        frames = self.peer.frames[mark.frames :]
        return dict(Counter(f.no_past_sweeps_reason for f in frames if f.no_past_sweeps_reason))

    def end(self, number: int) -> int:
        """Send the node a signal and wait for its end; return its exit code.

        Raises:
            ProcessError: It does not end in time.
        """
        os.kill(self.node.pid, number)
        deadline = time.monotonic() + self.patience_s
        while self.alive:
            if time.monotonic() > deadline:
                raise self.node.failure(
                    f"did not end within {self.patience_s:g} s of {signal.Signals(number).name}"
                )
            self.peer.good_cloud(reliable=self._reliable)
            time.sleep(1.0 / self.rate_hz)
        code = self.node.exit_code
        assert code is not None
        return code

    def final_counters(self) -> LiveCounters:
        """What an ended node had counted by its own words.

        Raises:
            ProcessError: It did not say.
        """
        found = _FINAL.findall(self.log())
        if not found:
            raise ProcessError(NODE_NAME, "did not say what it had counted", hint=str(self.node.log))
        received, processed, dropped = found[-1]
        entries = (entry.split(" ", 1) for entry in dropped.split(", ") if entry)
        return LiveCounters(
            int(received), int(processed), {reason: int(count) for count, reason in entries}
        )
