"""The node's side of the reference process."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from awml_deploy_core.errors import ProcessError
from awml_deploy_ros.node.background import with_threads
from awml_deploy_ros.shadow.arena import Arena

_NAME = "reference process"
START_TIMEOUT_S = 300.0
RESULT_TIMEOUT_S = 60.0


class ReferenceProcess:
    """Starts the process; one request at a time, from one thread. Only :meth:`kill` is for any thread.

    Args:
        arguments: Of the program ``shadow_reference``, those of the descriptors left out.
        num_threads: Of its numerical libraries.
        program: How the program is started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        num_threads: int = 1,
        program: Sequence[str] = ("-m", "awml_deploy_ros.shadow.reference"),
    ) -> None:
        self.arena = Arena()
        self._answers, theirs = os.pipe()
        self._rest = b""
        self._requests = 0
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, *program, *arguments),
                    *("--arena", str(self.arena.descriptor), "--results", str(theirs)),
                ],
                stdin=subprocess.PIPE,
                # What it prints must not end up among what the node prints as results.
                stdout=sys.__stderr__.fileno() if sys.__stderr__ else subprocess.DEVNULL,
                env=with_threads(os.environ, num_threads),
                pass_fds=(self.arena.descriptor, theirs),
                # Ctrl-C in the terminal is for the node, which ends it.
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._answers)
            self.arena.close()
            raise ProcessError(_NAME, "cannot be started", got=error.strerror) from error
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait until the reference is loaded.

        Raises:
            ProcessError: It cannot be loaded, or is not in time.
        """
        answer = self._answer(START_TIMEOUT_S)
        if "fatal" in answer:
            raise ProcessError(_NAME, "cannot load the reference", got=answer["fatal"])

    def compare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request whose arrays are in the arena; return the answer.

        Raises:
            ProcessError: The process ended, or did not answer in time.
        """
        self._requests += 1
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"id": self._requests, **request}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended() from error
        answer = self._answer(RESULT_TIMEOUT_S)
        if answer.get("id") != self._requests:
            raise ProcessError(_NAME, "gave the answer to another request", got=answer.get("id"))
        return answer

    def kill(self) -> None:
        """End the process at once; who waits for it gets a ProcessError."""
        self._process.kill()

    def close(self) -> None:
        """End the process and free everything. Calling it twice is allowed."""
        if self._answers < 0:
            return
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        # It may have ended before it had read a request.
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        os.close(self._answers)
        self._answers = -1
        self.arena.close()

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ProcessError(_NAME, f"gave no answer within {timeout_s:g} s")
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise self._ended()
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> ProcessError:
        code = self._process.wait()
        return ProcessError(_NAME, "ended", got=f"exit code {code}", hint="Its messages are in the log.")
