"""Try lower precisions of a bundle: accuracy, agreement, size and latency of each; write the best.

Tries FP16, INT8 (static Q/DQ) and a mix in which the layers that need it stay in FP32, against FP32.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.cli.options import add_report_options, add_target, override
from awml_deploy_core.cli.session import Sections, run_steps
from awml_deploy_core.exit_codes import ExitCode

if TYPE_CHECKING:
    from awml_deploy_core.runner.deployment import DeploymentRunner

VARIANTS = ("fp32", "fp16", "int8", "mixed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_target(parser)
    parser.add_argument(
        "--samples",
        action="append",
        default=[],
        metavar="SOURCE",
        help="what to measure on, instead of the configured data sets; may be repeated",
    )
    parser.add_argument(
        "--calibration",
        action="append",
        default=[],
        metavar="SOURCE",
        help="what INT8 takes its ranges from: other samples than those measured on; may be repeated",
    )
    parser.add_argument(
        "--past-sweeps", type=int, metavar="N", help="with --samples or --calibration: most past sweeps"
    )
    parser.add_argument("--num-samples", type=int, metavar="N", help="how many samples; -1 is all")
    parser.add_argument("--num-calibration", type=int, metavar="N", help="how many of the calibration's")
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        metavar="BACKEND:DEVICE",
        help="instead of the configured ones; may be repeated, the first that runs here judges the limits",
    )
    parser.add_argument("--max-loss", type=float, metavar="X", help="largest loss of the accuracy figure")
    parser.add_argument("--min-agreement", type=float, metavar="X", help="least share of boxes as in FP32")
    parser.add_argument("--budget", type=float, metavar="S", help="seconds after which nothing is begun")
    parser.add_argument("--choose", choices=VARIANTS, help="what to take, if it keeps the limits")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the chosen precision as a bundle")
    parser.add_argument("--work-dir", metavar="DIR", help="where results of finished frames are kept")
    parser.add_argument(
        "--restart", action="store_true", help="forget the frames that earlier runs finished"
    )
    add_report_options(parser)


def execute(args: argparse.Namespace) -> ExitCode:
    """Study the bundle of a deploy.yaml, or a bundle folder.

    Raises:
        AwmlDeployError: The configuration has problems, or the model cannot be run in FP32.
    """
    from awml_deploy_core.config import Step, only
    from awml_deploy_core.errors import ConfigError
    from awml_deploy_core.reporting.build import exit_code
    from awml_deploy_core.verification import Status

    if args.past_sweeps is not None and not (args.samples or args.calibration):
        raise ConfigError("--past-sweeps", "is only given with --samples or --calibration")

    def datasets(sources: list[str]) -> list[dict[str, Any]]:
        return [{"source": source, "num_past_sweeps": args.past_sweeps or 0} for source in sources]

    overrides = [
        *override("work_dir", args.work_dir),
        *override("evaluation.datasets", datasets(args.samples)),
        *override("evaluation.num_samples", args.num_samples),
        *override("evaluation.backends", args.backend),
        *override("precision.calibration", datasets(args.calibration)),
        *override("precision.num_calibration", args.num_calibration),
        *override("precision.max_loss", args.max_loss),
        *override("precision.min_agreement", args.min_agreement),
        *override("precision.budget_s", args.budget),
    ]

    def work(runner: DeploymentRunner, _: Any) -> Sections:
        record = runner.study_precision(choose=args.choose, write=args.write, restart=args.restart)
        return {"precision": record, "exit_code": exit_code(Status(record.status))}

    return run_steps(args, overrides, only(Step.PRECISION), work)
