"""A node's process: orderly on SIGINT and SIGTERM, loud on anything unexpected."""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from awml_deploy_core.errors import AwmlDeployError, ParameterError

_POLL_S = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class FatalErrors:
    """Carries the first unexpected exception of any thread or callback to the main thread.

    As a context manager it takes the exception away from rclpy, which would turn one raised in a
    transition callback into a silent state change.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
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


def run(body: Callable[[FatalErrors], None], args: Sequence[str] | None = None) -> int:
    """Run a body between rclpy's initialisation and shutdown; a signal sets its ``stop`` event.

    Nothing but the exit code may follow: SIGINT and SIGTERM are ignored from then on.

    Returns:
        0, or 1 after a typed error, which is printed without a traceback.

    Raises:
        BaseException: The first unexpected exception of the body or of a thread it watches.
    """
    fatal = FatalErrors()
    # A crash inside a native library leaves the Python stack in the log.
    faulthandler.enable()
    # The body ends itself in order, so rclpy must not invalidate its publishers first.
    for number in _SIGNALS:
        signal.signal(number, lambda *_: fatal.stop.set())
    try:
        with fatal:
            _initialise(args)
            body(fatal)
    finally:
        # Ctrl-C under ros2 launch arrives twice. Interpreter shutdown restores the default action of
        # a handled signal, but not of an ignored one, so the second would change the exit code.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        rclpy.try_shutdown()
    if isinstance(fatal.error, AwmlDeployError):
        print(f"{type(fatal.error).__name__}: {fatal.error}", file=sys.stderr)
        return 1
    if fatal.error is not None:
        raise fatal.error
    return 0


def _initialise(args: Sequence[str] | None) -> None:
    """Initialise rclpy without its own signal handlers.

    Raises:
        ParameterError: An argument after --ros-args or a parameter file cannot be used.
    """
    try:
        rclpy.init(
            args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO
        )
    except RuntimeError as error:
        # rclpy's own error types are private, and not the same in all distributions.
        raise ParameterError(
            "arguments after --ros-args", f"are refused by ROS ({error})", hint="Correct what it names."
        ) from None


def run_node(create: Callable[[FatalErrors], Any], args: Sequence[str] | None = None) -> int:
    """Create a node and spin it until a signal or an error; see :func:`run`.

    Args:
        create: Makes the node, which has ``start()``, called once before it spins, and
            ``close()``, called once before it is destroyed.
    """
    return run(lambda fatal: _spin(create, fatal), args)


def _spin(create: Callable[[FatalErrors], Any], fatal: FatalErrors) -> None:
    node = create(fatal)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.start()
        while not fatal.stop.is_set():
            executor.spin_once(timeout_sec=_POLL_S)
    finally:
        executor.shutdown()
        node.close()
        node.destroy_node()
