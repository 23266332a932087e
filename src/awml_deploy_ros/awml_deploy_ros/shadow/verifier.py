"""Gives sampled live frames to the reference and keeps count of what it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from awml_deploy_core.errors import AwmlDeployError, ProcessError
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.health import Health, Level
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.shadow.exchange import Codec
from awml_deploy_ros.shadow.process import ReferenceProcess
from awml_deploy_ros.shadow.sampler import Choice, Sampler
from awml_deploy_ros.shadow.settings import ShadowSettings

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0
"""Before the process is started again; it doubles."""


@dataclass(frozen=True)
class ShadowCounters:
    """What became of the frames that were offered."""

    compared: int = 0
    agreed: int = 0
    disagreed: int = 0
    skipped_busy: int = 0
    skipped_share: int = 0
    failed: int = 0


@dataclass(frozen=True, eq=False)
class Comparison:
    """One live frame against the reference."""

    frame: ProcessedFrame
    agrees: bool
    message: str
    details: Mapping[str, Any]
    """As of ``OutputComparison``."""
    reference_boxes: list[dict[str, Any]]
    reference_ms: float
    counters: ShadowCounters


@dataclass(frozen=True)
class ShadowState:
    """How the shadow verification stands."""

    reference: str = "starting"
    counters: ShadowCounters = field(default_factory=ShadowCounters)
    restarts: int = 0
    disagreements_in_a_row: int = 0
    last_result: str = ""
    last_disagreement: str = ""
    problem: str = ""
    """Why there is no reference now."""

    def values(self) -> dict[str, str]:
        """For diagnostics, by :data:`~awml_deploy_ros.diagnostic_keys.SHADOW_KEYS`."""
        return {
            "reference": self.problem or self.reference,
            **{name: str(value) for name, value in vars(self.counters).items()},
            "restarts": str(self.restarts),
            "last_result": self.last_result,
            "last_disagreement": self.last_disagreement,
        }

    def health(self, max_in_a_row: int) -> Health:
        """WARN while the last compared frame disagreed or there is no reference; ERROR after several."""
        row = self.disagreements_in_a_row
        if row >= max_in_a_row:
            return Health(Level.ERROR, f"{row} frames in a row disagree: {self.last_disagreement}")
        if row:
            return Health(Level.WARN, f"disagrees with the reference: {self.last_disagreement}")
        if self.problem:
            return Health(Level.WARN, f"no reference: {self.problem}")
        return Health(Level.OK, self.last_result or self.reference)


class ShadowVerifier:
    """A thread that owns the reference process.

    The live thread only decides whether a frame is taken and hands over references to it; copying,
    waiting and counting happen here, inference and comparison in the process.

    Args:
        settings: Which frames, how often.
        codec: Of the task.
        start: Starts a reference process.
        options: Gives the live pipeline's run-time options.
        precisions: What the live backend computes in.
        on_result: Called in this thread with every comparison.
        fatal: Where unexpected exceptions go.
    """

    def __init__(
        self,
        settings: ShadowSettings,
        codec: Codec,
        start: Callable[[], ReferenceProcess],
        options: Callable[[], Mapping[str, Any]],
        precisions: tuple[str, ...],
        on_result: Callable[[Comparison], None],
        fatal: FatalErrors,
    ) -> None:
        self._sampler = Sampler(settings)
        self._max_in_a_row = settings.max_consecutive_disagreements
        self._codec = codec
        self._start = start
        self._options = options
        self._precisions = precisions
        self._on_result = on_result
        self._fatal = fatal
        self._changed = threading.Condition()
        self._job: tuple[ProcessedFrame, int, dict[str, Any]] | None = None
        self._idle = False
        self._closed = False
        self._process: ReferenceProcess | None = None
        self._state = ShadowState()
        self._thread = threading.Thread(target=self._run, name="shadow")
        self._thread.start()

    @property
    def state(self) -> ShadowState:
        return self._state

    def health(self) -> Health:
        """Whether live and reference agree."""
        return self._state.health(self._max_in_a_row)

    def offer(self, frame: ProcessedFrame) -> None:
        """Take a live frame if it is due; returns at once. For one thread."""
        with self._changed:
            now_ns = time.monotonic_ns()
            choice = self._sampler.choose(now_ns, idle=self._idle and self._job is None)
            if choice is Choice.TAKEN:
                self._job = (frame, now_ns, dict(self._options()))
                self._changed.notify()
            elif choice is not Choice.NOT_DUE:
                self._count(**{choice.value: 1})

    def close(self) -> None:
        """End thread and process."""
        with self._changed:
            self._closed = True
            process = self._process
            self._changed.notify()
        if process is not None:
            process.kill()
        self._thread.join()

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        with self._fatal:
            while not self._closed:
                try:
                    self._serve()
                except ProcessError as error:
                    with self._changed:
                        if self._closed:
                            return
                        restarts = self._state.restarts + 1
                        self._state = replace(self._state, problem=str(error), restarts=restarts)
                        self._changed.wait_for(lambda: self._closed, pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _serve(self) -> None:
        """Start a process and feed it until it ends, which is a ProcessError, or this is closed."""
        process = self._start()
        with self._changed:
            self._process = process
        try:
            if self._closed:
                return
            process.wait_ready()
            while True:
                with self._changed:
                    self._idle = True
                    self._state = replace(self._state, reference="ready", problem="")
                    self._changed.wait_for(lambda: self._closed or self._job is not None)
                    job, self._job, self._idle = self._job, None, False
                if self._closed or job is None:
                    return
                self._set(reference="busy")
                self._compare(process, *job)
        finally:
            with self._changed:
                self._idle = False
                self._process = None
            process.close()

    def _compare(
        self, process: ReferenceProcess, frame: ProcessedFrame, taken_ns: int, options: dict[str, Any]
    ) -> None:
        try:
            answer = process.compare(
                {
                    "input": self._codec.encode(frame.sample, frame.output, process.arena),
                    "options": options,
                    "precisions": self._precisions,
                }
            )
        except AwmlDeployError:
            self._count(failed=1)
            raise
        if "error" in answer:
            self._count(failed=1)
            self._set(last_result=answer["error"])
            return
        with self._changed:
            self._sampler.used(taken_ns, float(answer["busy_s"]))
        agrees, message = bool(answer["agrees"]), str(answer["message"])
        self._count(compared=1, **{"agreed" if agrees else "disagreed": 1})
        in_a_row = 0 if agrees else self._state.disagreements_in_a_row + 1
        self._set(
            last_result=message,
            last_disagreement=self._state.last_disagreement if agrees else message,
            disagreements_in_a_row=in_a_row,
        )
        self._on_result(
            Comparison(
                frame,
                agrees,
                message,
                answer["details"],
                answer["boxes"],
                float(answer["reference_ms"]),
                self._state.counters,
            )
        )

    def _set(self, **changes: Any) -> None:
        with self._changed:
            self._state = replace(self._state, **changes)

    def _count(self, **more: int) -> None:
        with self._changed:
            counters = self._state.counters
            changed = {name: getattr(counters, name) + number for name, number in more.items()}
            self._state = replace(self._state, counters=replace(counters, **changed))
