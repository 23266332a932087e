"""How far an engine build is, told by the builder while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from awml_deploy_core.runtime.trt.library import TensorRTApi

if TYPE_CHECKING:
    import tensorrt

FULL = 100
"""Progress of a finished build, in percent."""


def make_monitor(
    api: TensorRTApi, on_progress: Callable[[int], None], failures: list[BaseException]
) -> tensorrt.IProgressMonitor:
    """A monitor that cancels the build once something was raised, which it puts into ``failures``."""
    tree = PhaseTree()
    lock = threading.Lock()

    @contextmanager
    def safely() -> Iterator[None]:
        """Neither Ctrl-C nor an error may leave through the builder, which would swallow it."""
        try:
            with lock:
                yield
        except BaseException as error:  # noqa: BLE001 - raised again after the build
            failures.append(error)

    class Monitor(api.IProgressMonitor):  # type: ignore[name-defined, misc]
        """Called by the builder, from any of its threads."""

        def __init__(self) -> None:
            # pybind11 wants this call, and not the one through super().
            api.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with safely():
                tree.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with safely():
                tree.step(phase_name, step + 1)
                on_progress(tree.percent())
            return not failures

        def phase_finish(self, phase_name: str) -> None:
            with safely():
                tree.finish(phase_name)

    made: tensorrt.IProgressMonitor = Monitor()
    return made


class PhaseTree:
    """Nested phases of a build and how much of it is done; the percentage never falls."""

    def __init__(self) -> None:
        self._phases: dict[str, tuple[str | None, int, int]] = {}
        self._percent = 0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of ``steps`` steps begins within another one."""
        self._phases[name] = (parent, max(1, steps), 0)

    def step(self, name: str, done: int) -> None:
        """``done`` steps of a phase are finished."""
        if name in self._phases:
            parent, steps, _ = self._phases[name]
            self._phases[name] = (parent, steps, min(done, steps))

    def finish(self, name: str) -> None:
        """A phase ended; its parent reports the step it was."""
        self._phases.pop(name, None)

    def percent(self) -> int:
        """Of the whole build, below 100."""
        roots = [name for name, (parent, _, _) in self._phases.items() if parent not in self._phases]
        done = max((self._fraction(name) for name in roots), default=0.0)
        self._percent = max(self._percent, min(FULL - 1, int(FULL * done)))
        return self._percent

    def _fraction(self, name: str) -> float:
        _, steps, done = self._phases[name]
        inner = [self._fraction(child) for child, (parent, _, _) in self._phases.items() if parent == name]
        return min(1.0, (done + max(inner, default=0.0)) / steps)
