"""A node's process: orderly on SIGINT and SIGTERM, loud on anything unexpected."""

from __future__ import annotations

import faulthandler
import os
import re
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from awml_deploy_core.errors import AwmlDeployError, DeviceLostError, ParameterError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_ros import signals
from awml_deploy_ros.domains import MAX_DOMAIN_ID

_POLL_S = 0.1
_DOMAIN_VARIABLE = "ROS_DOMAIN_ID"
_SOURCE_LINES = re.compile(r",\s+at /\S+:\d+")
"""Where in the sources of ROS an error was found."""


class FatalErrors:
    """Carries the first unexpected exception of any thread or callback to the main thread.

    As a context manager it takes the exception away from rclpy, which would turn one raised in a
    transition callback into a silent state change.
    """

    def __init__(self) -> None:
        self.stop = signals.StopFlag()
        """Set when the process has to end, with or without an error."""
        self.error: BaseException | None = None

    def __enter__(self) -> FatalErrors:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if exc is None:
            return False
        if self.error is None:
            self.error = exc
        self.stop.set()
        return True


def node_parser(program: str, description: str | None) -> ArgumentParser:
    """The parser of a node that takes all it needs from ROS 2."""
    return ArgumentParser(
        prog=program,
        description=description,
        epilog="Parameters, parameter files and remaps are ROS 2's: they follow --ros-args.",
    )


def run(
    parser: ArgumentParser,
    body: Callable[[FatalErrors, Namespace], None],
    args: Sequence[str] | None = None,
) -> int:
    """Run a body between rclpy's initialisation and shutdown; a signal sets its ``stop`` flag.

    Nothing but the exit code may follow: SIGINT and SIGTERM are ignored from then on.

    Args:
        parser: Of the arguments that are not ROS 2's; it ends the process if they are wrong.
        body: What is run, with those arguments.
        args: The command line, the program's name first (default: that of this process).

    Returns:
        An :class:`ExitCode`. A typed error is printed without a traceback, the first unexpected
        exception of the body or of a thread that it watches with one.
    """
    fatal = FatalErrors()
    # A crash inside a native library leaves the Python stack in the log.
    faulthandler.enable()
    # The body ends itself in order, so rclpy must not invalidate its publishers first.
    signals.catch(fatal.stop)
    argv = list(sys.argv if args is None else args)
    try:
        chosen = parser.parse_args(_checked(lambda: remove_ros_args(argv))[1:])
        with fatal:
            _initialise(argv)
            body(fatal, chosen)
    except AwmlDeployError as error:
        fatal.error = error
    finally:
        # Ctrl-C under ros2 launch arrives twice. Interpreter shutdown restores the default action of
        # a handled signal, but not of an ignored one, so the second would change the exit code.
        signals.ignore()
        rclpy.try_shutdown()
    return _report(fatal.error)


def _report(error: BaseException | None) -> ExitCode:
    if error is None:
        return ExitCode.PASSED
    if isinstance(error, AwmlDeployError):
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return ExitCode.ERROR if isinstance(error, DeviceLostError) else ExitCode.BAD_INPUT
    traceback.print_exception(type(error), error, error.__traceback__)
    return ExitCode.ERROR


def _initialise(argv: list[str]) -> None:
    """Initialise rclpy.

    Raises:
        ParameterError: The environment or an argument of ROS 2 is invalid.
    """
    domain_id = os.environ.get(_DOMAIN_VARIABLE, "")
    # Fast DDS would end the process at a greater one, and a negative one is taken for another.
    if domain_id and not (domain_id.isdecimal() and int(domain_id) <= MAX_DOMAIN_ID):
        raise ParameterError(
            _DOMAIN_VARIABLE, "is not a domain", got=domain_id, expected=f"an integer, 0 to {MAX_DOMAIN_ID}"
        )
    _checked(lambda: rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO))


def _checked(call: Callable[[], Any]) -> Any:
    """Turn what rclpy raises about the command line and the environment into a ParameterError."""
    try:
        return call()
    # The base of rclpy's errors, which have no public names.
    except RuntimeError as error:
        raise ParameterError(
            "ROS 2",
            "cannot start with this command line and environment",
            got=" ".join(_SOURCE_LINES.sub("", str(error)).split()),
            hint="What follows --ros-args is for ROS 2.",
        ) from error


def run_node(
    parser: ArgumentParser,
    create: Callable[[FatalErrors, Namespace], Any],
    args: Sequence[str] | None = None,
) -> int:
    """Create a node and spin it until a signal or an error; see :func:`run`.

    Args:
        parser: Of the arguments that are not ROS 2's.
        create: Makes the node, which has ``start()``, called once before it spins, and
            ``close()``, called once before it is destroyed.
        args: As for :func:`run`.
    """
    return run(parser, lambda fatal, chosen: spin(create(fatal, chosen), fatal), args)


def spin(
    node: Any,
    fatal: FatalErrors,
    executor: SingleThreadedExecutor | None = None,
    beside: AbstractContextManager[None] | None = None,
) -> None:
    """Start a node, spin it until it has to end, close and destroy it; see :func:`run_node`.

    Args:
        node: The node.
        fatal: Says when to end.
        executor: What spins (default: a SingleThreadedExecutor); shut down in the end.
        beside: Entered while it spins, left before the node is closed.
    """
    executor = SingleThreadedExecutor() if executor is None else executor
    executor.add_node(node)
    try:
        with beside or nullcontext():
            if not fatal.stop.is_set():
                node.start()
            while not fatal.stop.is_set():
                executor.spin_once(timeout_sec=_POLL_S)
    finally:
        executor.shutdown()
        node.close()
        node.destroy_node()
