"""Runs ``awml-deploy selftest`` in a process of lowest priority, so that the live node stays in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from awml_deploy_core.errors import ProcessError
from awml_deploy_ros.node.background import step_back, with_threads

_RUNS = 5
_LOG_TAIL = 5


@dataclass(frozen=True)
class SelftestOutcome:
    """What the self-test said."""

    passed: bool
    summary: str
    problems: tuple[str, ...] = ()
    """Every check that did not pass."""

    def __str__(self) -> str:
        return "; ".join((self.summary, *self.problems))


@dataclass(eq=False)
class SelftestRunner:
    """One self-test at a time; it can be ended from another thread."""

    command: Sequence[str] = (sys.executable, "-m", "awml_deploy_core.cli")
    timeout_s: float = 600.0
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _process: subprocess.Popen[str] | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    def run(self, bundle: str, endpoint: str) -> SelftestOutcome:
        """Test a bundle in one backend, e.g. ``onnxruntime:cpu``.

        Raises:
            ProcessError: It gave no result.
        """
        with tempfile.TemporaryDirectory(prefix="awml_deploy_selftest_") as scratch:
            result = Path(scratch, "result.json")
            arguments = ["selftest", bundle, "--backend", endpoint, "--runs", str(_RUNS)]
            with self._lock:
                if self._closed:
                    raise ProcessError("self-test", "was told to end")
                process = subprocess.Popen(
                    [*self.command, *arguments, "--json", str(result)],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env=with_threads(os.environ, 1),
                    start_new_session=True,
                )
                step_back(process.pid)
                self._process = process
            try:
                output, _ = process.communicate(timeout=self.timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
                raise ProcessError("self-test", f"did not end within {self.timeout_s:g} s") from None
            finally:
                self._process = None
            if not result.is_file():
                raise ProcessError(
                    "self-test",
                    f"ended with code {process.returncode} without a result",
                    problems=output.splitlines()[-_LOG_TAIL:],
                )
            return _outcome(json.loads(result.read_text(encoding="utf-8")))

    def close(self) -> None:
        """End a run in work and refuse others."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()


def _outcome(document: dict[str, object]) -> SelftestOutcome:
    record = document.get("selftest")
    if not isinstance(record, dict):
        raise ProcessError("self-test", "gave a result without a self-test", got=", ".join(document))
    problems = tuple(
        f"{check['status']}: {check['name']}: {check['message']}"
        for check in record["checks"]
        if check["status"] != "passed"
    )
    return SelftestOutcome(record["status"] == "passed", str(record["summary"]), problems)
