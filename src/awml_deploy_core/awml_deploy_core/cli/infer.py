"""Detect in a cloud file, a folder of clouds or a rosbag2: JSON and pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from awml_deploy_core.cli.options import add_target, override
from awml_deploy_core.cli.session import Sections, run_steps
from awml_deploy_core.exit_codes import ExitCode

if TYPE_CHECKING:
    from awml_deploy_core.runner.deployment import DeploymentRunner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_target(parser)
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="cloud, folder or bag (PATH#topic)")
    parser.add_argument("--backend", metavar="NAME", help="backend, instead of the configured one")
    parser.add_argument("--device", help="cpu, cuda or cuda:N, instead of the configured one")
    parser.add_argument("--checkpoint", metavar="FILE", help="weights of the pytorch backend")
    parser.add_argument("--limit", type=int, metavar="N", help="most frames to run")
    parser.add_argument("--score", type=float, metavar="S", help="leave out boxes below this score")
    parser.add_argument("--picture", type=Path, metavar="DIR", help="draw every frame with its boxes")


def execute(args: argparse.Namespace) -> ExitCode:
    """Run the bundle of a deploy.yaml, or a bundle folder, on a source.

    Raises:
        AwmlDeployError: The configuration has problems or the source cannot be read.
    """
    from awml_deploy_core.config import Step, only

    overrides = [
        *override("infer.source", args.source),
        *override("infer.limit", args.limit),
        *override("infer.min_score", args.score),
        *override("runtime.backend", args.backend),
        *override("runtime.device", args.device),
        *override("checkpoint_path", args.checkpoint),
    ]
    return run_steps(args, overrides, only(Step.INFER), lambda runner, _: _work(runner, args.picture))


def _work(runner: DeploymentRunner, pictures: Path | None) -> Sections:
    record = runner.infer(pictures)
    failed = any(frame.error for frame in record.frames)
    return {"inference": record, "exit_code": ExitCode.BAD_INPUT if failed else ExitCode.PASSED}
