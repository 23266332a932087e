"""Run every configured step: export, build engines, verify, evaluate."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from awml_deploy_core.cli.evaluate import add_restart, evaluation_sections
from awml_deploy_core.cli.options import add_report_options, add_target, override
from awml_deploy_core.cli.session import Sections, run_steps
from awml_deploy_core.cli.verify import verification_sections
from awml_deploy_core.exit_codes import ExitCode

if TYPE_CHECKING:
    from awml_deploy_core.config import LoadedConfig
    from awml_deploy_core.runner.deployment import DeploymentRunner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_target(parser, "a deploy.yaml")
    parser.add_argument("--checkpoint", metavar="FILE", help="weights, instead of the configured ones")
    add_restart(parser)
    add_report_options(parser)


def execute(args: argparse.Namespace) -> ExitCode:
    """Run the steps that a deploy.yaml configures.

    Raises:
        AwmlDeployError: The configuration has problems, or a step failed.
    """
    from awml_deploy_core.config import configured_steps

    return run_steps(
        args,
        override("checkpoint_path", args.checkpoint),
        configured_steps,
        lambda runner, loaded: _work(runner, loaded, args),
    )


def _work(runner: DeploymentRunner, loaded: LoadedConfig, args: argparse.Namespace) -> Sections:
    from awml_deploy_core.config import Step, configured_steps
    from awml_deploy_core.errors import ConfigError

    steps = configured_steps(loaded.deploy)
    if not steps:
        raise ConfigError(
            loaded.origin,
            "configures no step",
            expected="export.mode other than none, verification.enabled, or evaluation.datasets",
        )
    sections: Sections = {}
    if Step.EXPORT in steps:
        sections["export"] = runner.export()
    if Step.BUILD in steps:
        sections["engines"] = runner.build()
    if Step.VERIFY in steps:
        sections |= verification_sections(runner, loaded, args)
    if Step.EVALUATE in steps:
        evaluated = evaluation_sections(runner, loaded, args)
        # The codes of verdicts rise with what is wrong.
        worst = max(sections.get("exit_code", ExitCode.PASSED), evaluated["exit_code"])
        sections |= {**evaluated, "exit_code": worst}
    return sections
