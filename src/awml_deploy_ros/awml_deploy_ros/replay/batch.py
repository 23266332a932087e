"""Many bags: one job a bag with results of its own, done where it was left off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from awml_deploy_core.errors import BagError, ProcessError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import folder_lock, io_errors
from awml_deploy_core.reporting import Report
from awml_deploy_ros.replay.execute import (
    attempts,
    failed_report,
    finished,
    forget,
    key_of,
    write_failed_lines,
    write_report,
)
from awml_deploy_ros.replay.executors import Executor, JobEnd
from awml_deploy_ros.replay.request import ReplayRequest

_METADATA = "metadata.yaml"
_STORAGE = (".db3", ".mcap", ".db3.zstd", ".mcap.zstd")


@dataclass(frozen=True, eq=False)
class BagResult:
    """What came of one bag."""

    request: ReplayRequest
    report: Report
    attempts: int
    """How often its job was begun."""
    kept: bool
    """Whether the result is of an earlier call."""


def is_bag(path: Path) -> bool:
    """Whether a path looks like a rosbag2, sound or damaged.

    Without metadata a folder is one if its files are named after it, as recorders do; other folders
    hold bags of one file each.
    """
    if not path.is_dir():
        return _is_storage(path)
    if (path / _METADATA).is_file():
        return True
    return any(_is_storage(part) and part.name.startswith(path.name) for part in path.iterdir())


def find_bags(given: Sequence[Path], leave_out: Path | None = None) -> list[Path]:
    """The bags named, those inside folders named, and those listed in text files named.

    Args:
        given: Bags, folders with bags anywhere below them, or ``.txt`` files of one path a line.
        leave_out: A folder in which nothing is looked for: that of the results.

    Raises:
        BagError: A folder has no bag in it, or a list cannot be read.
    """
    found: dict[Path, None] = {}
    for path in given:
        if path.suffix == ".txt" and path.is_file():
            with io_errors(path, "list of bags cannot be read"):
                lines = path.read_text(encoding="utf-8").splitlines()
            names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
            parts = [Path(path.parent, name).absolute() for name in names]
        elif path.is_dir() and not is_bag(path):
            parts = list(_below(path.absolute(), leave_out.absolute() if leave_out else None))
        else:
            # What is not there becomes a job that says so.
            parts = [path.absolute()]
        if not parts:
            raise BagError(path, "has no rosbag2 in it", expected=f"{_METADATA} or *.mcap, *.db3 in it")
        found.update(dict.fromkeys(parts))
    return list(found)


def job_names(bags: Sequence[Path]) -> list[str]:
    """A folder name for the results of every bag: its own, with its parents' where that is not enough."""
    names = [bag.name for bag in bags]
    longest = max((len(bag.parts) for bag in bags), default=0)
    for depth in range(2, longest + 1):
        double = {name for name, count in Counter(names).items() if count > 1}
        names = [
            "__".join(bag.parts[-depth:]).replace("/", "") if name in double else name
            for name, bag in zip(names, bags, strict=True)
        ]
    return names


def run_batch(
    requests: Sequence[ReplayRequest],
    report: Path,
    executor: Executor,
    on_result: Callable[[BagResult], None],
    *,
    fresh: bool = False,
) -> tuple[BagResult, ...]:
    """Do the jobs that have no complete result yet.

    A result is kept if everything that decides it is unchanged and it is a verdict; what ended in an
    error is tried again.

    Args:
        requests: The jobs, each with a folder of its own below ``report``.
        report: Folder of all results; nobody else may write it meanwhile.
        executor: Who does them.
        on_result: Told every result as it comes.
        fresh: Keep nothing.

    Raises:
        ProcessError: Another process writes the folder.
        AwmlDeployError: No job can be done at all, or results cannot be written.
    """
    with io_errors(report, "results cannot be written"):
        report.mkdir(parents=True, exist_ok=True)
    try:
        with folder_lock(report).acquire(timeout=0):
            return _run(requests, executor, on_result, fresh)
    except Timeout:
        raise ProcessError(report, "is being written by another replay") from None


def _run(
    requests: Sequence[ReplayRequest],
    executor: Executor,
    on_result: Callable[[BagResult], None],
    fresh: bool,
) -> tuple[BagResult, ...]:
    results: dict[str, BagResult] = {}

    def add(result: BagResult) -> None:
        results[result.request.report] = result
        on_result(result)

    left = []
    for request in requests:
        kept = None if fresh else finished(request)
        if kept is not None and kept.exit_code in (ExitCode.PASSED, ExitCode.FAILED):
            add(BagResult(request, kept, len(attempts(request.folder)), True))
        else:
            forget(request)
            left.append(request)
    if left:
        executor.run(left, lambda end: add(_result(end)))
    return tuple(results[request.report] for request in requests)


def _result(end: JobEnd) -> BagResult:
    request = end.request
    found = finished(request)
    if found is None or end.problem is not None:
        problem = end.problem or ProcessError(request.name, "its worker left no result")
        found = failed_report(request, problem, ExitCode.ERROR)
        with io_errors(request.folder, "results cannot be written"):
            request.folder.mkdir(parents=True, exist_ok=True)
        write_failed_lines(request, str(problem))
        write_report(request, found, key_of(request))
    return BagResult(request, found, len(attempts(request.folder)), False)


def _is_storage(path: Path) -> bool:
    return path.name.endswith(_STORAGE) and not path.is_dir()


def _below(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    if folder == leave_out:
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if is_bag(path):
            yield path
        elif path.is_dir():
            yield from _below(path, leave_out)
