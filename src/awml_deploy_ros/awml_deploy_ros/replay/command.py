"""Replays the bags of a command line and tells how they fared."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from awml_deploy_core.cli.output import progress_bar
from awml_deploy_core.errors import ParameterError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.reporting.markup import plain, status_text
from awml_deploy_core.reporting.terminal import print_report
from awml_deploy_ros.replay.batch import BagResult, find_bags, is_bag, job_names, run_batch
from awml_deploy_ros.replay.execute import PAGE, execute
from awml_deploy_ros.replay.executors import Executor, LocalExecutor
from awml_deploy_ros.replay.node_settings import default_parameter_file
from awml_deploy_ros.replay.ray_executor import RayExecutor
from awml_deploy_ros.replay.request import ReplayRequest
from awml_deploy_ros.replay.summary import SUMMARY_PAGE, exit_code_of, finding, status_of, write_summary

_PIPE_WIDTH = 120


def run_command(chosen: argparse.Namespace) -> ExitCode:
    """Replay what the arguments of :func:`~awml_deploy_ros.replay.cli.build_parser` name.

    Raises:
        AwmlDeployError: A bag, the model or a file is missing or damaged, or an argument is wrong.
    """
    # A machine that reads a log has no terminal whose width could be asked.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    report = chosen.report.absolute()
    template = _request(chosen)
    bags = find_bags(chosen.bags, report)
    if len(bags) == 1 and (is_bag(chosen.bags[0]) or not chosen.bags[0].exists()):
        return _one(template.of(bags[0], report), console)
    requests = [template.of(bag, report / name) for bag, name in zip(bags, job_names(bags), strict=True)]
    executor: Executor = LocalExecutor(chosen.workers)
    if chosen.executor == "ray":
        executor = RayExecutor(chosen.workers, chosen.ray_address, chosen.ray_cpus)
    console.print(f"{len(bags)} bags, results in {report}", markup=False, soft_wrap=True)

    def tell(result: BagResult) -> None:
        notes = "kept, " if result.kept else ""
        notes += f"attempt {result.attempts}, " if result.attempts > 1 else ""
        line = f"{result.request.folder.name}: {notes}{finding(result.report)}"
        console.print(f"  {status_text(status_of(result.report))}  {plain(line)}", soft_wrap=True)

    results = run_batch(requests, report, executor, tell, fresh=chosen.fresh)
    write_summary(results, report)
    console.print(f"summary: {report / SUMMARY_PAGE}", markup=False, soft_wrap=True)
    return exit_code_of(results)


def _one(request: ReplayRequest, console: Console) -> ExitCode:
    with progress_bar() as progress:
        report = execute(request, progress)
    print_report(report, console)
    for name in (PAGE, "result.json", "result.jsonl", "frames.jsonl", "junit.xml"):
        if (request.folder / name).is_file():
            console.print(f"{name}: {request.folder / name}", markup=False, soft_wrap=True)
    status = status_of(report)
    console.print(f"{status_text(status)} in {report.seconds:.1f} s", soft_wrap=True)
    return ExitCode(report.exit_code)


def _request(chosen: argparse.Namespace) -> ReplayRequest:
    def path(given: Path | None) -> str | None:
        return None if given is None else str(given.expanduser().absolute())

    return ReplayRequest(
        bag="",
        report="",
        model=str(chosen.model.expanduser().absolute()),
        parameters=str((chosen.params or default_parameter_file()).expanduser().absolute()),
        mode=chosen.mode,
        topic=chosen.topic,
        backend=chosen.backend,
        device=chosen.device,
        checkpoint=path(chosen.checkpoint),
        reference=chosen.reference,
        ground_truth=path(chosen.ground_truth),
        floors=_floors(chosen.floor),
        match_ms=chosen.match_ms,
        max_distance=chosen.max_distance,
        min_points=chosen.min_points,
        budget=path(chosen.budget),
        baseline=path(chosen.baseline),
        baseline_limits=chosen.baseline_limits,
        recheck=chosen.recheck,
        rate_hz=chosen.rate,
        find_rate=chosen.find_rate,
        attach=chosen.attach,
        input_topic=chosen.input_topic,
        pictures=chosen.pictures,
    )


def _floors(given: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            equals = ""
        if not name or not equals:
            raise ParameterError(
                "--floor", "is no floor", got=text, expected="FIGURE=VALUE, e.g. mean_ap=0.5"
            )
    return found
