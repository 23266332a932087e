"""Starts the node, records and watches its outputs, plays a bag into it over DDS, ends them all."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    node_exit_code: int
    node_memory_mb: tuple[float, ...]
    """Resident memory of the node [MB], once a second while it was fed."""
    logs: tuple[Path, ...]


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
        with self._recorder(output_bag) as recorder, self._monitor() as monitor, self._node() as node:
            self._wait_until_ready(node, recorder, monitor)
            report, memory = self._play(node, recorder, monitor)
            self._settle(int(report["frames"]), node, monitor)
            node_exit_code = node.stop()
            if recorder.stop() != 0:
                raise recorder.failure(f"ended with code {recorder.exit_code}")
        return LiveOutcome(
            int(report["frames"]),
            int(report["bytes"]),
            float(report["seconds"]),
            int(report["late_frames"]),
            output_bag,
            node_exit_code,
            memory,
            (node.log, recorder.log, monitor.log, self.folder / "bag_player.log"),
        )

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
        return self._child("bag_recorder", str(output_bag), "--node", f"/{NODE_NAME}")

    def _monitor(self) -> ChildProcess:
        return self._child(
            "monitor",
            str(self.folder / _STATUS),
            *("--node", f"/{NODE_NAME}"),
            *("--input", self.source.name),
        )

    def _node(self) -> ChildProcess:
        settings = self.settings
        values = {
            "model_path": str(settings.model_path),
            "backend": settings.backend,
            "device": settings.device,
            "autostart": "true",
        }
        parameters = [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
        return self._child(
            "centerpoint_node",
            "--ros-args",
            "--params-file",
            str(settings.parameter_file),
            *parameters,
            "-r",
            f"{POINT_CLOUD.name}:={self.source.name}",
        )

    def _wait_until_ready(self, node: ChildProcess, *others: ChildProcess) -> None:
        start = time.monotonic()
        while not (status := self._status).ready:
            self._tick("start", start, node, *others)
            if status.problem:
                raise node.failure("could not be configured")
            if time.monotonic() - start > self.settings.start_timeout_s:
                raise node.failure(f"is not active after {self.settings.start_timeout_s:g} s")

    def _play(
        self, node: ChildProcess, *others: ChildProcess
    ) -> tuple[dict[str, float], tuple[float, ...]]:
        report = self.folder / "playback.json"
        report.unlink(missing_ok=True)
        player = self._child(
            "bag_player",
            str(self.source.bag),
            *("--topic", self.source.name),
            *("--rate", str(self.settings.rate_hz)),
            *("--loops", str(self.settings.loops)),
            *("--linger", str(_LINGER_S)),
            *("--report", str(report)),
        )
        memory: list[float] = []
        with player:
            start = time.monotonic()
            while player.exit_code is None:
                self._tick("play", start, node, *others)
                if time.monotonic() - start >= len(memory) * _MEMORY_PERIOD_S:
                    memory.append(resident_mb(node.pid))
            if player.exit_code != 0:
                raise player.failure(f"ended with code {player.exit_code}")
        found: dict[str, float] = json.loads(report.read_text(encoding="utf-8"))
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
