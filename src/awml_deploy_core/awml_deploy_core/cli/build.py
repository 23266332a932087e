"""Build the TensorRT engines of a bundle."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from awml_deploy_core.cli.options import add_target, log_settings, override
from awml_deploy_core.cli.session import Sections, load, run_steps
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.logging_setup import configure_logging

if TYPE_CHECKING:
    from rich.console import Console

    from awml_deploy_core.export.engine_plan import EnginePlan
    from awml_deploy_core.runner.deployment import DeploymentRunner

PRECISIONS = ("fp32", "tf32", "fp16", "int8")
LIBRARIES = ("auto", "tensorrt", "tensorrt_rtx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_target(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be built and why, and build nothing"
    )
    parser.add_argument("--rebuild", action="store_true", help="build even what is there")
    add_engine_options(parser)


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """What is chosen most often of ``export.tensorrt``."""
    parser.add_argument("--precision", choices=PRECISIONS, help="instead of the configured one")
    parser.add_argument("--library", choices=LIBRARIES, help="instead of the configured one")


def engine_overrides(args: argparse.Namespace) -> list[str]:
    """Those options as overrides of the configuration."""
    return [
        *override("export.tensorrt.precision", args.precision),
        *override("export.tensorrt.library", args.library),
    ]


def execute(args: argparse.Namespace) -> ExitCode:
    """Build the engines of a deploy.yaml's bundle, or of a bundle folder.

    Raises:
        AwmlDeployError: The configuration has problems, or an engine cannot be built.
    """
    from awml_deploy_core.config import Step, only

    if args.dry_run:
        return _dry_run(args)

    def work(runner: DeploymentRunner, _: Any) -> Sections:
        return {"engines": runner.build(rebuild=args.rebuild)}

    return run_steps(args, engine_overrides(args), only(Step.BUILD), work)


def _dry_run(args: argparse.Namespace) -> ExitCode:
    from awml_deploy_core.cli.output import check_destination, console, write_result
    from awml_deploy_core.config import Step, only
    from awml_deploy_core.runner.deployment import DeploymentRunner
    from awml_deploy_core.runner.reports import make_report

    start = time.monotonic()
    check_destination(args)
    loaded = load(args, engine_overrides(args), only(Step.BUILD))
    configure_logging(*log_settings(args, loaded.deploy.logging.level, loaded.deploy.logging.format))
    plans = DeploymentRunner(loaded).plan_build(rebuild=args.rebuild)
    print_plans(plans, console(args))
    facts = {"engines": [_facts(plan) for plan in plans]}
    refused = any(plan.action == "refuse" for plan in plans)
    report = make_report(
        args.command,
        loaded.deploy.name,
        seconds=time.monotonic() - start,
        bundle=str(loaded.deploy.bundle),
        facts=facts,
        # As the build itself would end.
        exit_code=ExitCode.BAD_INPUT if refused else ExitCode.PASSED,
    )
    write_result(report, args)
    return ExitCode(report.exit_code)


def print_plans(plans: tuple[EnginePlan, ...], console: Console) -> None:
    """What would happen for every component, and why."""
    for plan in plans:
        key = plan.key
        lines = [
            f"{key.component}: {plan.action}: {plan.why}",
            f"  precision: {key.precision}",
            *(f"  profile of {name}: {shapes}" for name, shapes in key.profile.items()),
            f"  for: {key.target}",
            *(f"  {name}: {value}" for name, value in key.flags.items()),
            f"  file: engines/{key.file_name}",
        ]
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)


def _facts(plan: EnginePlan) -> dict[str, Any]:
    from pydantic import TypeAdapter

    from awml_deploy_core.runtime.trt.key import EngineKey

    return {
        "component": plan.key.component,
        "action": plan.action,
        "reasons": list(plan.reasons),
        "key": TypeAdapter(EngineKey).dump_python(plan.key, mode="json"),
        "file": f"engines/{plan.key.file_name}",
    }
