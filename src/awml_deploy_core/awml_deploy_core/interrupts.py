"""Ctrl-C that libraries cannot swallow."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """End the enclosed block with KeyboardInterrupt if Ctrl-C came while it ran.

    Python raises KeyboardInterrupt wherever the main thread happens to be. In an import or a
    callback of a compiled library it gets lost or comes out as that library's own error, which a
    fallback would take for a reason to go on with something else.

    Does nothing outside the main thread, or where Ctrl-C does not raise KeyboardInterrupt.
    """
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    handler = previous
    came = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        handler(number, frame)

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    except Exception:
        if came:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, previous)
    if came:
        raise KeyboardInterrupt
