"""Compare backends on the same clouds: every tensor and every decoded box."""

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
        help="cloud, folder or bag (PATH#topic), instead of the configured ones; may be repeated",
    )
    parser.add_argument("--num-samples", type=int, metavar="N", help="how many samples; -1 is all")
    parser.add_argument("--reference", metavar="BACKEND:DEVICE", help="with --test: the scenario to run")
    parser.add_argument("--test", metavar="BACKEND:DEVICE", help="what is compared with --reference")
    add_report_options(parser)


def execute(args: argparse.Namespace) -> ExitCode:
    """Verify the bundle of a deploy.yaml, or a bundle folder.

    Raises:
        AwmlDeployError: The configuration has problems or a source cannot be read.
    """
    from awml_deploy_core.config import Step, only
    from awml_deploy_core.errors import ConfigError

    overrides = [
        *override("checkpoint_path", args.checkpoint),
        *override("verification.samples", args.samples),
        *override("verification.num_samples", args.num_samples),
    ]
    if (args.reference is None) != (args.test is None):
        raise ConfigError("--reference and --test", "are only given together")
    if args.reference is not None:
        scenario = {"reference": args.reference, "test": args.test}
        overrides += override("verification.scenarios", [scenario])
        overrides.append("verification.scenarios_by_mode={}")
    return run_steps(
        args,
        overrides,
        only(Step.VERIFY),
        lambda runner, loaded: verification_sections(runner, loaded, args),
    )


def verification_sections(
    runner: DeploymentRunner, loaded: LoadedConfig, args: argparse.Namespace
) -> Sections:
    """Verify, and say how the process has to end; pictures are drawn for the page alone."""
    from awml_deploy_core.reporting.build import exit_code
    from awml_deploy_core.verification import Status

    pictures = picture_folder(loaded, args.html, "verification_pictures") if args.html else None
    record = runner.verify(pictures=pictures)
    return {"verification": record, "exit_code": exit_code(Status(record.status))}
