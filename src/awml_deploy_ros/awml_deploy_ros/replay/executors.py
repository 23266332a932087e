"""Who does the jobs of many bags: processes on this machine, or a Ray cluster."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol

from awml_deploy_core.errors import ProcessError
from awml_deploy_core.files import io_errors, write_text
from awml_deploy_ros.live.child import ChildProcess
from awml_deploy_ros.replay.execute import finished
from awml_deploy_ros.replay.request import ReplayRequest

MAX_ATTEMPTS = 3
"""How often a job is begun whose worker is killed."""
_POLL_S = 0.1
_REQUEST, _LOG = "request.json", "worker.log"


@dataclass(frozen=True)
class JobEnd:
    """A job whose worker is done with it."""

    request: ReplayRequest
    problem: ProcessError | None = None
    """Why there is no result; None if there is one."""


OnEnd = Callable[[JobEnd], None]


class Executor(Protocol):
    """Does jobs, in any order."""

    def run(self, requests: Sequence[ReplayRequest], on_end: OnEnd) -> None:
        """Do all of them; ``on_end`` is called once a job, in the calling thread.

        Raises:
            AwmlDeployError: No job can be done at all.
        """
        ...


class LocalExecutor:
    """One process a job, so many at a time; a job whose process is killed is begun again.

    Args:
        workers: Processes at a time.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._stop = threading.Event()

    def run(self, requests: Sequence[ReplayRequest], on_end: OnEnd) -> None:
        """See :meth:`Executor.run`."""
        with ThreadPoolExecutor(self._workers) as pool:
            futures = [pool.submit(self._do, request) for request in requests]
            try:
                for future in as_completed(futures):
                    on_end(future.result())
            except BaseException:
                # Ctrl-C: the jobs that run are told to end, the others never begin.
                self._stop.set()
                raise

    def _do(self, request: ReplayRequest) -> JobEnd:
        folder = request.folder
        with io_errors(folder, "results cannot be written"):
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / _REQUEST
        write_text(path, request.to_json() + "\n")
        problem = ProcessError(request.name, "was not begun")
        for attempt in range(1, MAX_ATTEMPTS + 1):
            if self._stop.is_set():
                return JobEnd(request, problem)
            # Each thread waits for its own process, whose end the kernel ties to the thread's.
            with ChildProcess("replay_job", [str(path)], folder / _LOG, os.environ) as child:
                while child.exit_code is None and not self._stop.wait(_POLL_S):
                    pass
                code = child.exit_code
            if code is None:
                return JobEnd(request, ProcessError(request.name, "was interrupted"))
            if finished(request) is not None:
                return JobEnd(request)
            problem = child.failure(f"worker ended with code {code} in attempt {attempt}")
            if code >= 0:
                # It was not killed: it would end so again.
                break
        return JobEnd(request, problem)
