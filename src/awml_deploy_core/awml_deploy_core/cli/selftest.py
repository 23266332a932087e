"""Run known inputs through a bundle and compare with the recorded outputs: first thing in a vehicle.

Engines are built if they are not there. A backend that cannot run here is skipped with the reason, and
the exit code is then not 0.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from awml_deploy_core.cli.build import add_engine_options, engine_overrides
from awml_deploy_core.cli.options import add_target
from awml_deploy_core.cli.session import Sections, run_steps
from awml_deploy_core.exit_codes import ExitCode

if TYPE_CHECKING:
    from awml_deploy_core.runner.deployment import DeploymentRunner

DEFAULT_BACKENDS = ("onnxruntime:cpu", "tensorrt:cuda")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_target(parser)
    parser.add_argument(
        "--backend",
        dest="backends",
        action="append",
        metavar="BACKEND:DEVICE",
        help=f"what to test; may be repeated (default: {' and '.join(DEFAULT_BACKENDS)})",
    )
    parser.add_argument("--runs", type=int, default=50, metavar="N", help="timed runs (default: 50)")
    add_engine_options(parser)


def execute(args: argparse.Namespace) -> ExitCode:
    """Self-test the bundle of a deploy.yaml, or a bundle folder.

    Raises:
        AwmlDeployError: The configuration has problems, a backend or device is unknown, or there is no
            bundle.
    """
    from awml_deploy_core.config import only
    from awml_deploy_core.device import DeviceSpec
    from awml_deploy_core.errors import ConfigError
    from awml_deploy_core.reporting.build import exit_code
    from awml_deploy_core.runtime import load_backend
    from awml_deploy_core.verification import Endpoint, Status

    if args.runs < 1:
        raise ConfigError("--runs", "is below 1", got=args.runs)
    endpoints = []
    for text in args.backends or DEFAULT_BACKENDS:
        backend, _, device = text.partition(":")
        load_backend(backend)
        endpoints.append(Endpoint(backend, DeviceSpec.parse(device or "cpu")))

    def work(runner: DeploymentRunner, _: Any) -> Sections:
        record = runner.selftest(endpoints, runs=args.runs)
        return {"selftest": record, "exit_code": exit_code(Status(record.status))}

    return run_steps(args, engine_overrides(args), only(), work)
