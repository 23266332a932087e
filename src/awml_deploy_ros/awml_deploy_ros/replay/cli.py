"""Does this bag still pass? Replays rosbags through a model bundle and judges the result.

``offline`` runs the node's own pipeline without DDS, as fast as it goes and the same every time; ``live``
plays the bag into the real node over DDS. One bag gives its results in the report folder, several give a
folder each and a summary.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awml_deploy_core.cli.build import PRECISIONS
from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.logging_setup import configure_logging
from awml_deploy_ros.signals import CAUGHT

_LOG = logging.getLogger(__name__)
_EPILOG = (
    "exit codes: 0 all passed; 1 a check failed or a required one did not run; 2 bad input (a bag, model "
    "or file is missing or damaged); 3 a check could not be completed, or a worker died; 130 interrupted; "
    "of several bags the worst. In a report folder that holds results already, those that are complete and "
    "whose inputs are unchanged are kept."
)


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


def default_workers() -> int:
    """Half of the processors: a model uses more than one."""
    return max(1, (os.cpu_count() or 2) // 2)


def main(args: Sequence[str] | None = None) -> int:
    """Replay and judge; the exit code is the verdict."""
    argv = _without_ros_arguments(list(sys.argv if args is None else args))
    chosen = build_parser().parse_args(argv[1:])
    # It loads ROS and what runs models, which help needs nothing of.
    from awml_deploy_ros.replay.command import run_command

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    configure_logging()
    try:
        if CAUGHT.is_set():
            raise KeyboardInterrupt
        return int(run_command(chosen))
    except AwmlDeployError as error:
        _LOG.error("%s: %s", type(error).__name__, error)
        return int(ExitCode.BAD_INPUT)
    except KeyboardInterrupt:
        _LOG.error("interrupted; results so far are kept")
        return int(ExitCode.INTERRUPTED)
    except Exception:  # noqa: BLE001 - it ends here, with its traceback
        _LOG.exception("stopped by a bug; please report it with this traceback")
        return int(ExitCode.ERROR)


def _without_ros_arguments(argv: list[str]) -> list[str]:
    if "--ros-args" not in argv:
        return argv
    from rclpy.utilities import remove_ros_args

    return list(remove_ros_args(argv))


if __name__ == "__main__":
    sys.exit(main())
