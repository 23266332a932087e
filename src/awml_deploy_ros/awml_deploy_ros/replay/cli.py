"""Does this bag still pass? Replays rosbags through a model bundle and judges the result.

``offline`` runs the node's own pipeline without DDS, as fast as it goes and the same every time; ``live``
plays the bag into the real node over DDS. One bag gives its results in the report folder, several give a
folder each and a summary.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rclpy.utilities import remove_ros_args
from rich.console import Console

from awml_deploy_core.cli.output import progress_bar
from awml_deploy_core.errors import AwmlDeployError, ParameterError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.logging_setup import configure_logging
from awml_deploy_core.reporting.markup import plain, status_text
from awml_deploy_core.reporting.terminal import print_report
from awml_deploy_core.verification.tolerances import PRECISIONS
from awml_deploy_ros.replay.batch import BagResult, find_bags, is_bag, job_names, run_batch
from awml_deploy_ros.replay.execute import PAGE, execute
from awml_deploy_ros.replay.executors import Executor, LocalExecutor, default_workers
from awml_deploy_ros.replay.job import Progress
from awml_deploy_ros.replay.node_settings import default_parameter_file
from awml_deploy_ros.replay.ray_executor import RayExecutor
from awml_deploy_ros.replay.request import ReplayRequest
from awml_deploy_ros.replay.summary import SUMMARY_PAGE, exit_code_of, finding, status_of, write_summary
from awml_deploy_ros.signals import CAUGHT

_LOG = logging.getLogger(__name__)
_EPILOG = (
    "exit codes: 0 all passed; 1 a check failed or a required one did not run; 2 bad input (a bag, model "
    "or file is missing or damaged); 3 a check could not be completed, or a worker died; 130 interrupted; "
    "of several bags the worst. In a report folder that holds results already, those that are complete and "
    "whose inputs are unchanged are kept."
)
_PIPE_WIDTH = 120


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="awml-replay", description=__doc__, epilog=_EPILOG)
    parser.add_argument(
        "bags",
        type=Path,
        nargs="+",
        metavar="BAG",
        help="rosbag2 (folder, .db3 or .mcap file), folder of bags, or .txt file with one path a line",
    )
    parser.add_argument("--model", type=Path, required=True, metavar="BUNDLE", help="the model bundle")
    parser.add_argument("--report", type=Path, default=Path("output/replay"), help="default: %(default)s")
    parser.add_argument(
        "--mode", choices=("offline", "live"), default="offline", help="default: %(default)s"
    )
    parser.add_argument("--topic", help="of the clouds (default: the bag's only PointCloud2)")
    node = parser.add_argument_group("node")
    node.add_argument(
        "--params", type=Path, metavar="FILE", help="its parameter file (default: the installed one)"
    )
    node.add_argument("--backend", help="instead of the parameter file's")
    node.add_argument("--device", help="instead of the parameter file's")
    node.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights, of the pytorch backend")
    _add_checks(parser.add_argument_group("checks"))
    live = parser.add_argument_group("live mode")
    live.add_argument("--rate", type=float, default=10.0, help="clouds a second [Hz], default: %(default)s")
    live.add_argument(
        "--find-rate", action="store_true", help="also look for the highest rate without loss"
    )
    live.add_argument("--attach", metavar="NODE", help="full name of a node that runs already")
    live.add_argument("--input-topic", metavar="TOPIC", help="to which that node listens")
    many = parser.add_argument_group("many bags")
    many.add_argument("--executor", choices=("local", "ray"), default="local", help="default: %(default)s")
    many.add_argument(
        "--workers", type=int, default=default_workers(), help="at a time, default: %(default)s"
    )
    many.add_argument("--ray-address", metavar="ADDRESS", help="of a cluster (default: start one here)")
    many.add_argument("--ray-cpus", type=float, default=1.0, help="that a job takes, default: %(default)s")
    many.add_argument("--fresh", action="store_true", help="keep no earlier result")
    return parser


def _add_checks(group: Any) -> None:
    group.add_argument(
        "--reference", metavar="BACKEND[:DEVICE]", help="compare every frame's boxes with this backend's"
    )
    group.add_argument(
        "--ground-truth",
        type=Path,
        metavar="FILE",
        help="info file (T4, nuScenes), or a folder of <bag>.infos.pkl (default: beside the bag, if there)",
    )
    group.add_argument(
        "--floor",
        action="append",
        default=[],
        metavar="FIGURE=VALUE",
        help="least value of a figure of the accuracy, e.g. mean_ap=0.5, recall/CAR=0.7; may be repeated",
    )
    group.add_argument(
        "--match-ms",
        type=float,
        default=1.0,
        metavar="MS",
        help="how far stamps of clouds and ground truth may be apart, default: %(default)s",
    )
    group.add_argument(
        "--max-distance",
        type=float,
        metavar="M",
        help="boxes farther away count for nothing (default: the circle inside the model's range)",
    )
    group.add_argument(
        "--min-points",
        type=int,
        default=5,
        metavar="N",
        help="ground truth on fewer points counts for nothing, default: %(default)s",
    )
    group.add_argument("--budget", type=Path, metavar="FILE", help="latency_budget.yaml to keep")
    group.add_argument(
        "--baseline", type=Path, metavar="DIR", help="report folder of an earlier replay to compare with"
    )
    group.add_argument(
        "--baseline-limits",
        choices=PRECISIONS,
        default="fp32",
        help="tolerances of boxes against the earlier result, by precision, default: %(default)s",
    )
    group.add_argument(
        "--recheck",
        type=int,
        default=-1,
        metavar="N",
        help="clouds that run once more, for determinism and reference; 0 none, default: -1 (all)",
    )
    group.add_argument("--pictures", type=int, default=0, metavar="N", help="frames to draw, default: 0")


def main(args: Sequence[str] | None = None) -> int:
    """Replay and judge; the exit code is the verdict."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    argv = remove_ros_args(list(sys.argv if args is None else args))
    parser = build_parser()
    chosen = parser.parse_args(argv[1:])
    configure_logging()
    # A machine that reads a log has no terminal whose width could be asked.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    try:
        if CAUGHT.is_set():
            raise KeyboardInterrupt
        return int(_run(chosen, console))
    except AwmlDeployError as error:
        _LOG.error("%s: %s", type(error).__name__, error)
        return int(ExitCode.BAD_INPUT)
    except KeyboardInterrupt:
        _LOG.error("interrupted; results so far are kept")
        return int(ExitCode.INTERRUPTED)
    except Exception:  # noqa: BLE001 - it ends here, with its traceback
        _LOG.exception("stopped by a bug; please report it with this traceback")
        return int(ExitCode.ERROR)


def _run(chosen: argparse.Namespace, console: Console) -> ExitCode:
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
    with _bar() as progress:
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


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar a task on standard error, if that is a terminal."""
    with progress_bar() as progress:
        yield progress


if __name__ == "__main__":
    sys.exit(main())
