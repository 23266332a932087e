"""Where results go: tables to people, JSON to machines."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from awml_deploy_core.errors import ArtifactError, AwmlDeployError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import io_errors
from awml_deploy_core.progress import Progress, no_progress

if TYPE_CHECKING:
    from rich.console import Console

    from awml_deploy_core.reporting import Report

_LOG = logging.getLogger(__name__)
STDOUT = "-"
PIPE_WIDTH = 120
"""Columns of tables that do not go to a terminal."""


class _Stream:
    """A standard stream whose reader may go away: what follows is dropped, the work goes on.

    The exit code then still says how the checks ended, also in ``awml-deploy verify ... | head``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write and flush, so that a failure shows here and not when the interpreter ends.

        Raises:
            ArtifactError: The stream cannot be written, e.g. because the disk behind it is full.
        """
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            self._drop_the_rest()
        except OSError as error:
            self._drop_the_rest()
            raise ArtifactError(
                "standard output" if self._stream is sys.stdout else "standard error",
                "cannot be written",
                got=error.strerror,
            ) from error
        return len(text)

    def flush(self) -> None:
        """Every write is flushed."""

    def _drop_the_rest(self) -> None:
        """Send it, and what the stream still holds, where it can be written."""
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, self._stream.fileno())
        os.close(sink)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def console(args: argparse.Namespace) -> Console:
    """Console for people; standard error when standard output carries JSON, none if both are taken.

    A machine that reads JSON log lines from standard error finds nothing else there.
    """
    from rich.console import Console

    taken = args.json == STDOUT
    stream: Any = _Stream(sys.stderr if taken else sys.stdout)
    made = Console(file=stream, quiet=taken and args.log_format == "json", highlight=False)
    if not made.is_terminal:
        made.width = max(made.width, PIPE_WIDTH)
    return made


def emit(report: Report, args: argparse.Namespace, default: Path | None = None) -> None:
    """Print the report and write it as JSON to ``--json``, else to ``default``."""
    from awml_deploy_core.reporting.terminal import print_report

    print_report(report, console(args))
    write_result(report, args, default)


def emit_error(error: AwmlDeployError, args: argparse.Namespace) -> None:
    """Write an error as the JSON result of a command that could not start or finish."""
    from awml_deploy_core.reporting.build import error_record
    from awml_deploy_core.runner.reports import make_report

    report = make_report(
        args.command,
        str(getattr(args, "target", "")),
        error=error_record(error),
        exit_code=ExitCode.BAD_INPUT,
    )
    write_result(report, args)


def check_destination(args: argparse.Namespace) -> None:
    """Make the folders of the files asked for, so that a result cannot be lost at the end of long work.

    Raises:
        ArtifactError: The result could not be written there.
    """
    for path in _destinations(args):
        with io_errors(path, "cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
                raise PermissionError(None, "is a folder" if path.is_dir() else "permission denied")


def _destinations(args: argparse.Namespace) -> list[Path]:
    """Every file that the command line asks for."""
    asked = [args.json if args.json != STDOUT else None, *_other_forms(args).values()]
    return [Path(path) for path in asked if path]


def _other_forms(args: argparse.Namespace) -> dict[str, str]:
    """Paths of ``--html`` and ``--junit``, of commands that have them."""
    found = {form: getattr(args, form, None) for form in ("html", "junit")}
    return {form: path for form, path in found.items() if path}


def write_result(report: Report, args: argparse.Namespace, default: Path | None = None) -> None:
    """Write the report as JSON to ``--json``, else to ``default`` if there is one, and in other forms."""
    from awml_deploy_core.reporting import to_json, write_html, write_json, write_junit

    if args.json == STDOUT:
        _Stream(sys.stdout).write(to_json(report))
    elif path := Path(args.json) if args.json else default:
        write_json(report, path)
        _LOG.info("wrote report %s", path)
    for form, place in _other_forms(args).items():
        (write_html if form == "html" else write_junit)(report, Path(place))
        _LOG.info("wrote report %s", place)


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress]:
    """A bar a task on standard error; silent when asked or when that is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def update(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, total=total)

        yield update
