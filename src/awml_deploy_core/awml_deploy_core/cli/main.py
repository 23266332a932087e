"""``awml-deploy``: from a checkpoint to a verified bundle and its detections."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from awml_deploy_core.cli import (
    build,
    doctor,
    evaluate,
    export,
    import_config,
    infer,
    inspect,
    precision,
    run,
    selftest,
    verify,
)
from awml_deploy_core.cli.options import add_common_options, log_settings
from awml_deploy_core.errors import ArtifactError, AwmlDeployError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.logging_setup import configure_logging

COMMANDS = (
    export,
    build,
    verify,
    evaluate,
    precision,
    run,
    infer,
    selftest,
    inspect,
    import_config,
    doctor,
)

_LOG = logging.getLogger(__name__)
_EPILOG = (
    "exit codes: 0 all passed; 1 a check failed or a required one did not run; "
    "2 bad input, configuration or machine; 3 a check could not be completed, or a bug stopped it; "
    "130 interrupted"
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each command module adds its own arguments."""
    parser = argparse.ArgumentParser(prog="awml-deploy", description=__doc__, epilog=_EPILOG)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        description = (module.__doc__ or "").strip()
        command = commands.add_parser(
            name, help=description.splitlines()[0], description=description, epilog=_EPILOG
        )
        module.add_arguments(command)
        add_common_options(command)
        command.set_defaults(command=name, execute=module.execute)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        An :class:`ExitCode`; errors of input are printed as one message, never as a traceback
        unless the log level is debug. Any other exception is a bug: its traceback is printed, and
        the process ends as one that could not complete its checks.
    """
    try:
        return _run(argv)
    except Exception:  # noqa: BLE001 - it ends here, with its traceback
        # The exit code that Python gives an exception, 1, would say that a check failed.
        _LOG.exception("stopped by a bug; please report it with this traceback")
        return int(ExitCode.ERROR)


def _run(argv: Sequence[str] | None) -> int:
    """Run one command; what is wrong with its input becomes a message and an exit code."""
    args = build_parser().parse_args(argv)
    level, fmt = log_settings(args)
    configure_logging(level, fmt)
    try:
        return int(args.execute(args))
    except AwmlDeployError as error:
        _report_error(error, args)
        return int(ExitCode.BAD_INPUT)
    except OSError as error:
        # What the system refuses, such as a folder without permission, is a fact of this machine.
        reason = error.strerror or error
        refused = ArtifactError(error.filename or "operating system", "is refused", got=reason)
        _report_error(refused.with_traceback(error.__traceback__), args)
        return int(ExitCode.BAD_INPUT)
    except KeyboardInterrupt:
        _LOG.error("interrupted")
        return int(ExitCode.INTERRUPTED)


def _report_error(error: AwmlDeployError, args: argparse.Namespace) -> None:
    debug = logging.getLogger().isEnabledFor(logging.DEBUG)
    _LOG.error("%s", error, exc_info=error if debug else None, extra={"error": type(error).__name__})
    if args.json or getattr(args, "junit", None) or getattr(args, "html", None):
        from awml_deploy_core.cli.output import emit_error

        try:
            emit_error(error, args)
        except AwmlDeployError as second:
            if (second.subject, second.problem) != (error.subject, error.problem):
                _LOG.error("%s", second)


if __name__ == "__main__":
    sys.exit(main())
