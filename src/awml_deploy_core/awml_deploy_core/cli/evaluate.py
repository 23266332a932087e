"""Measure how good and how fast each backend is, and compare them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from awml_deploy_core.cli.options import add_report_options, add_target, override
from awml_deploy_core.cli.session import Sections, picture_folder, run_steps
from awml_deploy_core.exit_codes import ExitCode

if TYPE_CHECKING:
    from awml_deploy_core.config import LoadedConfig
    from awml_deploy_core.runner.deployment import DeploymentRunner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_target(parser)
    parser.add_argument("--checkpoint", metavar="FILE", help="weights of the pytorch backend")
    parser.add_argument(
        "--samples",
        action="append",
        default=[],
        metavar="SOURCE",
        help="info file, bag, cloud or folder, instead of the configured ones; may be repeated",
    )
    parser.add_argument("--past-sweeps", type=int, metavar="N", help="with --samples: most past sweeps")
    parser.add_argument("--num-samples", type=int, metavar="N", help="how many samples; -1 is all")
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        metavar="BACKEND:DEVICE",
        help="instead of the configured ones; may be repeated, the first is the reference",
    )
    parser.add_argument("--work-dir", metavar="DIR", help="where results of finished frames are kept")
    add_restart(parser)
    add_report_options(parser)


def add_restart(parser: argparse.ArgumentParser) -> None:
    """The option that every command has which can go on after an earlier run."""
    parser.add_argument(
        "--restart", action="store_true", help="forget the frames that earlier evaluations finished"
    )


def execute(args: argparse.Namespace) -> ExitCode:
    """Evaluate the bundle of a deploy.yaml, or a bundle folder.

    Raises:
        AwmlDeployError: The configuration has problems or a data set cannot be read.
    """
    from awml_deploy_core.config import Step, only
    from awml_deploy_core.errors import ConfigError

    if args.past_sweeps is not None and not args.samples:
        raise ConfigError("--past-sweeps", "is only given with --samples")
    datasets = [{"source": source, "num_past_sweeps": args.past_sweeps or 0} for source in args.samples]
    overrides = [
        *override("work_dir", args.work_dir),
        *override("checkpoint_path", args.checkpoint),
        *override("evaluation.datasets", datasets),
        *override("evaluation.num_samples", args.num_samples),
        *override("evaluation.backends", args.backend),
    ]
    return run_steps(
        args,
        overrides,
        only(Step.EVALUATE),
        lambda runner, loaded: evaluation_sections(runner, loaded, args),
    )


def evaluation_sections(
    runner: DeploymentRunner, loaded: LoadedConfig, args: argparse.Namespace
) -> Sections:
    """Evaluate, and say how the process has to end."""
    from awml_deploy_core.reporting.build import exit_code
    from awml_deploy_core.verification import Status

    pictures = picture_folder(loaded, args.html, "evaluation_pictures")
    record = runner.evaluate(restart=args.restart, pictures=pictures)
    return {"evaluation": record, "exit_code": exit_code(Status(record.status))}
