"""One job in a process of its own: ``python -m awml_deploy_ros replay_job REQUEST``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.logging_setup import configure_logging
from awml_deploy_ros.replay.execute import execute
from awml_deploy_ros.replay.request import ReplayRequest


def quiet(task: str, done: int, total: int) -> None:
    """Nobody watches."""


def main(args: Sequence[str] | None = None) -> int:
    """Execute the request in a file; its result files say what came of it."""
    # The parent ends a job by SIGINT; children of a live run end with this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="replay_job", description=__doc__)
    parser.add_argument("request", type=Path, help="JSON file of the request")
    chosen = parser.parse_args(args)
    configure_logging()
    try:
        report = execute(ReplayRequest.from_json(chosen.request.read_text(encoding="utf-8")), quiet)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    return int(report.exit_code)


if __name__ == "__main__":
    sys.exit(main())
