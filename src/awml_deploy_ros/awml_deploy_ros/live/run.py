"""Starts the node, records and watches its outputs, plays a bag into it over DDS, ends them all."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from awml_deploy_core.errors import BagError, ProcessError
from awml_deploy_core.files import io_errors
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.live.child import ChildProcess
from awml_deploy_ros.live.status import LiveCounters, LiveStatus
from awml_deploy_ros.topics import POINT_CLOUD
from awml_deploy_ros.transport import large_cloud_environment

NODE_NAME = "centerpoint"
OUTPUT_BAG = "output_bag"
_STATUS = "status.json"
_TICK_S = 0.1
_MEMORY_PERIOD_S = 1.0
_LINGER_S = 2.0
"""How long the player outlives its last cloud, which a busy machine delivers late."""
_SETTLE_S = 10.0
"""How long the node may take to finish what is left after the last cloud."""


@dataclass(frozen=True)
class LiveSettings:
    """What is run and how it is fed."""

    model_path: Path
    parameter_file: Path
    backend: str = "onnxruntime"
    device: str = "cpu"
    rate_hz: float = 10.0
    loops: int = 1
    start_timeout_s: float = 60.0
    """How long the node may take to load its model and listen."""
    checkpoint_path: str = ""
    """Trained weights, for a backend that runs the module itself."""
    attach: str = ""
    """Full name of a node that somebody else has started and ends; empty starts one."""
    input_topic: str = ""
    """Topic to which the attached node listens; empty is that of the bag."""

    @property
    def node_name(self) -> str:
        """Full name of the node."""
        return self.attach or f"/{NODE_NAME}"


@dataclass(frozen=True)
class LiveProgress:
    """How far a run is."""

    phase: str
    """``start``, ``play`` or ``finish``."""
    seconds: float
    """Since the phase began."""
    counters: LiveCounters


@dataclass(frozen=True)
class LiveOutcome:
    """What happened, before anybody judges it."""

    sent: int
    """Clouds published."""
    sent_bytes: int
    seconds: float
    """Duration of the playback."""
    late: int
    """Clouds published more than one period after their time."""
    output_bag: Path
    node_exit_code: int | None
    """None of a node that somebody else started."""
    node_memory_mb: tuple[float, ...]
    """Resident memory of the node [MB], once a second while it was fed; of a node of our own."""
    logs: tuple[Path, ...]
    sent_at_ns: tuple[int, ...] = ()
    """When every cloud was given to the middleware, by the system's clock [ns]."""
    counted_before: LiveCounters = field(default_factory=LiveCounters)
    """What the node had counted before the first cloud."""


def play_live(
    source: CloudTopic,
    folder: Path,
    settings: LiveSettings,
    progress: Callable[[LiveProgress], None] = lambda _: None,
) -> LiveOutcome:
    """Play a bag into the node ``centerpoint``, each in a process of its own.

    The clouds keep their recorded stamps, which identify the frames.

    Args:
        source: The clouds to play.
        folder: Gets the logs and :data:`OUTPUT_BAG`; it must not hold an output bag yet.
        settings: What is run and how it is fed.
        progress: Told several times a second.

    Raises:
        BagError: There is nothing to play, or the output bag exists already.
        ProcessError: The node, the player or the recorder failed to start, ended early, or did not
            end when asked; the error shows the end of its log.
        ArtifactError: The folder cannot be written.
    """
    output_bag = folder / OUTPUT_BAG
    if not source.count:
        raise BagError(f"{source.bag}#{source.name}", "has no messages")
    if output_bag.exists():
        raise BagError(output_bag, "exists already", hint="Choose another folder or remove it.")
    with io_errors(folder, "cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _STATUS).unlink(missing_ok=True)
    try:
        return _Run(source, folder, settings, progress).execute(output_bag)
    finally:
        _remove_partial(folder)


def _remove_partial(folder: Path) -> None:
    """Remove what a recorder or a monitor left that was killed while it wrote."""
    for path in folder.glob(f".{OUTPUT_BAG}.*.tmp"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / f".{_STATUS}").unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class _Run:
    source: CloudTopic
    folder: Path
    settings: LiveSettings
    progress: Callable[[LiveProgress], None]

    def execute(self, output_bag: Path) -> LiveOutcome:
        with ExitStack() as children:
            recorder = children.enter_context(self._recorder(output_bag))
            monitor = children.enter_context(self._monitor())
            node = None if self.settings.attach else children.enter_context(self._node())
            others = (recorder, monitor)
            self._wait_until_ready(node, *others)
            before = self._status.counters
            report, memory = self._play(node, *others)
            self._settle(int(report["frames"]) + before.accounted, *_running(node, *others))
            node_exit_code = None if node is None else node.stop()
            if recorder.stop() != 0:
                raise recorder.failure(f"ended with code {recorder.exit_code}")
        logs = [child.log for child in (node, *others) if child is not None]
        return LiveOutcome(
            int(report["frames"]),
            int(report["bytes"]),
            float(report["seconds"]),
            int(report["late_frames"]),
            output_bag,
            node_exit_code,
            memory,
            (*logs, self.folder / "bag_player.log"),
            tuple(report["sent_at_ns"]),
            before,
        )

    @property
    def _input_topic(self) -> str:
        return self.settings.input_topic or self.source.name

    @property
    def _status(self) -> LiveStatus:
        return LiveStatus.read(self.folder / _STATUS)

    def _child(self, program: str, *arguments: str) -> ChildProcess:
        return ChildProcess(
            program,
            arguments,
            self.folder / f"{program}.log",
            {**os.environ, **large_cloud_environment()},
        )

    def _recorder(self, output_bag: Path) -> ChildProcess:
        return self._child("bag_recorder", str(output_bag), "--node", self.settings.node_name)

    def _monitor(self) -> ChildProcess:
        return self._child(
            "monitor",
            str(self.folder / _STATUS),
            *("--node", self.settings.node_name),
            *("--input", self._input_topic),
        )

    def _node(self) -> ChildProcess:
        settings = self.settings
        values = {
            "model_path": str(settings.model_path),
            "backend": settings.backend,
            "device": settings.device,
            "autostart": "true",
        }
        if settings.checkpoint_path:
            values["checkpoint_path"] = settings.checkpoint_path
        parameters = [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
        return self._child(
            "centerpoint_node",
            "--ros-args",
            "--params-file",
            str(settings.parameter_file),
            *parameters,
            "-r",
            f"{POINT_CLOUD.name}:={self._input_topic}",
        )

    def _wait_until_ready(self, node: ChildProcess | None, *others: ChildProcess) -> None:
        start = time.monotonic()
        while not (status := self._status).ready:
            self._tick("start", start, *_running(node, *others))
            if status.problem:
                raise self._failure(node, f"could not be configured: {status.problem}")
            if time.monotonic() - start > self.settings.start_timeout_s:
                limit = f"{self.settings.start_timeout_s:g} s"
                raise self._failure(node, f"is not active after {limit}, or the recorder has not found it")

    def _failure(self, node: ChildProcess | None, problem: str) -> ProcessError:
        if node is not None:
            return node.failure(problem.partition(":")[0])
        return ProcessError(
            self.settings.attach, problem, hint=f"Is it there, and does it listen to {self._input_topic}?"
        )

    def _play(
        self, node: ChildProcess | None, *others: ChildProcess
    ) -> tuple[dict[str, Any], tuple[float, ...]]:
        report = self.folder / "playback.json"
        report.unlink(missing_ok=True)
        player = self._child(
            "bag_player",
            str(self.source.bag),
            *("--topic", self.source.name),
            *("--to", self._input_topic),
            *("--rate", str(self.settings.rate_hz)),
            *("--loops", str(self.settings.loops)),
            *("--linger", str(_LINGER_S)),
            *("--report", str(report)),
        )
        memory: list[float] = []
        with player:
            start = time.monotonic()
            while player.exit_code is None:
                self._tick("play", start, *_running(node, *others))
                if node is not None and time.monotonic() - start >= len(memory) * _MEMORY_PERIOD_S:
                    memory.append(resident_mb(node.pid))
            if player.exit_code != 0:
                raise player.failure(f"ended with code {player.exit_code}")
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found, tuple(memory)

    def _settle(self, sent: int, *children: ChildProcess) -> None:
        """Wait until the node has told the fate of every cloud, or time is up."""
        start = time.monotonic()
        while self._status.counters.accounted < sent and time.monotonic() - start < _SETTLE_S:
            self._tick("finish", start, *children)

    def _tick(self, phase: str, start: float, *children: ChildProcess) -> None:
        time.sleep(_TICK_S)
        for child in children:
            child.require_running()
        self.progress(LiveProgress(phase, time.monotonic() - start, self._status.counters))


def _running(*children: ChildProcess | None) -> tuple[ChildProcess, ...]:
    """Those of the children that there are."""
    return tuple(child for child in children if child is not None)


def resident_mb(pid: int) -> float:
    """Resident memory of a process [MB], from the kernel's process table.

    Raises:
        ProcessError: There is no such process.
    """
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError as error:
        raise ProcessError(f"process {pid}", "memory cannot be read", got=error.strerror) from error
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
