"""A child process that writes a log and ends when it is told to."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from awml_deploy_core.errors import ProcessError

_STOP_TIMEOUT_S = 20.0
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_LOG_TAIL = 12
"""Last lines of a log that an error shows."""


def _end_with_parent() -> None:
    """Let the kernel send SIGINT to this process when its parent ends, killed or not."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


class ChildProcess:
    """A program of this package, its output in a log file.

    As a context manager it never leaves the process behind; nor does a parent that is killed. The
    kernel takes the end of the thread that starts it for the parent's end.

    Args:
        program: What to run: a name that ``python -m awml_deploy_ros`` knows.
        arguments: Its command line.
        log: Gets standard output and standard error.
        environment: The whole environment of the process.
    """

    def __init__(
        self, program: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = program
        self.log = log
        with log.open("wb") as stream:
            # A session of its own: Ctrl-C in the terminal reaches the parent, which ends its
            # children in order.
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", "awml_deploy_ros", program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.exit_code is None:
            # An orderly end lets it finish its files and free its shared memory.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.poll()

    def require_running(self) -> None:
        """Raise a ProcessError with the end of the log if the process has ended."""
        if self.exit_code is not None:
            raise self.failure(f"ended with code {self.exit_code}")

    def failure(self, problem: str) -> ProcessError:
        """An error about this process with the end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return ProcessError(
            self.name, problem, problems=lines[-_LOG_TAIL:], hint=f"The whole log: {self.log}"
        )

    def stop(self) -> int:
        """Send SIGINT, wait for the end and return the exit code.

        Raises:
            ProcessError: It had to be killed.
        """
        if self.exit_code is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise self.failure(f"did not end within {_STOP_TIMEOUT_S:g} s after SIGINT") from None
