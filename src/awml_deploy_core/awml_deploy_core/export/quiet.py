"""Keeps exporters' chatter off the terminal."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout

_LOG = logging.getLogger(__name__)
_CHATTY = ("torch", "onnxscript", "onnx_ir", "onnxslim")


@contextmanager
def quiet() -> Iterator[None]:
    """Send what torch, onnxscript and onnxslim print and warn to this suite's debug log.

    Warnings of the tracer, which mean that a value was frozen into the graph, are logged as
    warnings. Everything is put back at the end.
    """
    printed = io.StringIO()
    caught: list[warnings.WarningMessage] = []
    try:
        with ExitStack() as stack:
            caught = stack.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("always")
            stack.enter_context(redirect_stdout(printed))
            stack.enter_context(redirect_stderr(printed))
            for name in _CHATTY:
                logger = logging.getLogger(name)
                stack.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.CRITICAL)
            yield
    finally:
        for line in printed.getvalue().splitlines():
            _LOG.debug("%s", line)
        for warning in caught:
            traced = warning.category.__name__ == "TracerWarning"
            _LOG.log(logging.WARNING if traced else logging.DEBUG, "%s", warning.message)
