"""What the process says to its caller when it ends."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``awml-deploy``, the ROS 2 programs and the demo."""

    PASSED = 0
    """Everything that was asked for was done, and every check passed."""
    FAILED = 1
    """A check failed, or a required check did not run."""
    BAD_INPUT = 2
    """The command line, configuration, files or machine do not allow what was asked for."""
    ERROR = 3
    """A check could not be completed, or a bug stopped the program."""
    INTERRUPTED = 130
    """Ctrl-C."""
