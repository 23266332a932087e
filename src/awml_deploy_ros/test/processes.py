"""Python processes with the tests' modules and this package on their path."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
TIMEOUT_S = 60.0
"""Of every wait for an event. It proves nothing: a busy machine takes ten times as long as a quiet one."""
_PATHS = [str(HERE), str(HERE.parent)]


class Process:
    """A running Python process whose output is collected line by line."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        path = os.pathsep.join([*_PATHS, os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-u", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": path, **environment},
        )
        self.output = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, text: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until the output contains ``text``."""
        deadline = time.monotonic() + timeout_s
        while text not in self.output:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {text!r} within {timeout_s} s:\n{self.output}") from None
            assert line is not None, f"ended without {text!r}:\n{self.output}"
            self.output += line

    def interrupt(self, number: int = signal.SIGINT) -> None:
        self._process.send_signal(number)

    def finish(self, timeout_s: float = TIMEOUT_S) -> int:
        """Wait for the end; return the exit code."""
        code = self._process.wait(timeout_s)
        self._reader.join()
        while (line := self._lines.get()) is not None:
            self.output += line
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)
