"""Executes a request and leaves all of its result files, whatever comes of it."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from awml_deploy_core.errors import ArtifactError, AwmlDeployError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import io_errors, sha256_file, write_text
from awml_deploy_core.packages import installed_versions
from awml_deploy_core.reporting import Report, write_html, write_json, write_junit
from awml_deploy_core.reporting.build import error_record
from awml_deploy_core.runner.reports import make_report
from awml_deploy_ros.domains import reserve_domain_id
from awml_deploy_ros.replay.job import COMMAND, Progress, run_job
from awml_deploy_ros.replay.request import ReplayRequest
from awml_deploy_ros.replay.score_lines import FILE as SCORE_LINES

RESULT, PAGE, JUNIT = "result.json", "report.html", "junit.xml"
ATTEMPTS = "attempts.jsonl"
"""One line every time somebody began the job: process, host, time."""
_DONE = "done.json"
"""Written last; says of what the results are."""
_SMALL = 1 << 20

_LOG = logging.getLogger(__name__)


def execute(request: ReplayRequest, progress: Progress) -> Report:
    """Run a job; a typed error becomes a report of that error.

    Raises:
        ArtifactError: The results cannot be written.
    """
    note_attempt(request)
    forget(request)
    _isolate(request)
    key = key_of(request)
    try:
        report = run_job(request, progress)
    except AwmlDeployError as error:
        _LOG.error("%s: %s: %s", request.name, type(error).__name__, error)
        report = failed_report(request, error)
        write_failed_lines(request, str(error))
    write_report(request, report, key)
    return report


def write_report(request: ReplayRequest, report: Report, key: str) -> None:
    """Write a report in every form, and last that it is complete.

    Raises:
        ArtifactError: They cannot be written.
    """
    folder = request.folder
    write_json(report, folder / RESULT)
    write_junit(report, folder / JUNIT)
    write_html(report, folder / PAGE)
    write_text(folder / _DONE, json.dumps({"key": key, "exit_code": report.exit_code}) + "\n")


def failed_report(request: ReplayRequest, error: AwmlDeployError, code: int = ExitCode.BAD_INPUT) -> Report:
    """The report of a job that could not be done."""
    return make_report(
        COMMAND, request.name, bundle=request.model, error=error_record(error), exit_code=code
    )


def write_failed_lines(request: ReplayRequest, problem: str) -> None:
    """Tell tools that read result lines that there is no result."""
    line = {
        "Result": {"Success": False, "Summary": f"Failed: {problem}"},
        "Stamp": {"System": time.time()},
        "Frame": {},
    }
    write_text(request.folder / SCORE_LINES, json.dumps(line) + "\n")


def note_attempt(request: ReplayRequest) -> None:
    """Say that somebody begins the job.

    Raises:
        ArtifactError: The folder cannot be written.
    """
    line = {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}
    with io_errors(request.folder, "results cannot be written"):
        request.folder.mkdir(parents=True, exist_ok=True)
        with (request.folder / ATTEMPTS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


def attempts(folder: Path) -> list[Mapping[str, object]]:
    """Who began a job, in order."""
    try:
        lines = (folder / ATTEMPTS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [json.loads(line) for line in lines]


def finished(request: ReplayRequest, key: str | None = None) -> Report | None:
    """The report of a job that is complete and of the same key; None if there is none.

    Args:
        request: The job.
        key: As :func:`key_of` gives it; None computes it.
    """
    try:
        done = json.loads((request.folder / _DONE).read_text(encoding="utf-8"))
        if done["key"] != (key or key_of(request)):
            return None
        return Report.model_validate_json((request.folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, KeyError, TypeError, ValueError):
        return None


def forget(request: ReplayRequest) -> None:
    """Let the results of an earlier call count as complete no more."""
    (request.folder / _DONE).unlink(missing_ok=True)


def key_of(request: ReplayRequest) -> str:
    """Hash of the request and of the state of every file that it names."""
    named = ("bag", "model", "parameters", "checkpoint", "ground_truth", "budget", "baseline")
    content = {"tool": str(installed_versions(("awml_deploy_core", "awml_deploy_ros", "awml_extractors")))}
    for name in named:
        value = getattr(request, name)
        if value is not None:
            content[name] = _state(Path(value))
    beside = Path(f"{request.bag}.infos.pkl")
    content["beside"] = _state(beside)
    return request.key(content)


def _state(path: Path) -> str:
    """Hash of a small file, size and time of a large one or of everything in a folder."""
    try:
        if path.is_dir():
            return " ".join(
                f"{part.relative_to(path)}:{part.stat().st_size}:{part.stat().st_mtime_ns}"
                for part in sorted(path.rglob("*"))
                if part.is_file()
            )
        stat = path.stat()
        return sha256_file(path) if stat.st_size < _SMALL else f"{stat.st_size}:{stat.st_mtime_ns}"
    except (OSError, ArtifactError):
        return "not there"


def _isolate(request: ReplayRequest) -> None:
    """Let a live run hear nobody but itself; a node to attach to is where it is."""
    if request.mode == "live" and not request.attach:
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        os.environ["ROS_DOMAIN_ID"] = str(_own_domain())


@cache
def _own_domain() -> int:
    return reserve_domain_id()
