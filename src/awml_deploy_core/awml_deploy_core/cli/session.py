"""What commands that act have in common: load, run with a progress bar, report."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.cli.options import log_settings
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.logging_setup import configure_logging

if TYPE_CHECKING:
    from awml_deploy_core.config import LoadedConfig
    from awml_deploy_core.config.preflight import StepSelector
    from awml_deploy_core.runner.deployment import DeploymentRunner

Sections = dict[str, Any]
"""Sections of the report, and its exit code."""


def load(
    args: argparse.Namespace, overrides: Sequence[str] = (), steps: StepSelector | None = None
) -> LoadedConfig:
    """The configuration that the arguments of ``add_target`` name.

    Args:
        args: Of the command line.
        overrides: ``key.sub=value`` each; they win over those of the command line.
        steps: Chooses the steps to check before they run.

    Raises:
        ConfigError, ArtifactError: As :func:`~awml_deploy_core.runner.targets.load_target`.
    """
    from awml_deploy_core.runner.targets import load_target

    return load_target(
        args.target,
        [*args.overrides, *overrides],
        steps,
        args.model_config,
        follow_bases=args.follow_base,
    )


def run_steps(
    args: argparse.Namespace,
    overrides: Sequence[str],
    steps: StepSelector,
    work: Callable[[DeploymentRunner, LoadedConfig], Sections],
) -> ExitCode:
    """Load the target, run ``work`` on it and report its sections.

    The JSON report goes to ``--json``; without it, to the reports of a deploy.yaml's work
    folder, and nowhere for a bundle, which has none.

    Raises:
        AwmlDeployError: The configuration has problems or a step failed.
    """
    from awml_deploy_core.cli.output import check_destination, emit, progress_bar
    from awml_deploy_core.runner.deployment import DeploymentRunner
    from awml_deploy_core.runner.reports import bundle_provenance, make_report

    start = time.monotonic()
    check_destination(args)
    loaded = load(args, overrides, steps)
    deploy = loaded.deploy
    level, fmt = log_settings(args, deploy.logging.level, deploy.logging.format)
    configure_logging(level, fmt)
    # The tables have to know as well that standard error is for machines.
    args.log_format = fmt
    with progress_bar(quiet=fmt == "json") as progress:
        sections = work(DeploymentRunner(loaded, progress), loaded)
    report = make_report(
        args.command,
        deploy.name,
        seconds=time.monotonic() - start,
        bundle=str(deploy.bundle),
        provenance=bundle_provenance(deploy.bundle),
        **sections,
    )
    default = None if loaded.origin.is_dir() else deploy.report_dir / f"{args.command}.json"
    emit(report, args, default)
    return ExitCode(report.exit_code)


def picture_folder(loaded: LoadedConfig, html: str | None, name: str) -> Path | None:
    """Where pictures go: beside the JSON report; a bundle has none, but ``--html`` may be given."""
    if not loaded.origin.is_dir():
        return loaded.deploy.report_dir / name
    return Path(html).with_name(f"{Path(html).stem}_pictures") if html else None
