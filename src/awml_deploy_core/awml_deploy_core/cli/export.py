"""Export a checkpoint as a model bundle."""

from __future__ import annotations

import argparse

from awml_deploy_core.cli.options import add_target, override
from awml_deploy_core.cli.session import run_steps
from awml_deploy_core.exit_codes import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_target(parser, "a deploy.yaml")
    parser.add_argument("--checkpoint", metavar="FILE", help="weights, instead of the configured ones")


def execute(args: argparse.Namespace) -> ExitCode:
    """Write the bundle of a deploy.yaml.

    Raises:
        AwmlDeployError: The configuration has problems or the export failed.
    """
    from awml_deploy_core.config import Step, only

    return run_steps(
        args,
        override("checkpoint_path", args.checkpoint),
        only(Step.EXPORT),
        lambda runner, _: {"export": runner.export()},
    )
