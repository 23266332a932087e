"""Ctrl-C that other packages cannot swallow."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def honoured_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of a block in which one was raised and lost.

    torch drops it in places, most of all while it imports its compiler: the work would go on, with
    what was half imported failing later for another reason.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        # Ctrl-C is ignored or somebody else's business.
        yield
        return
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if interrupted:
            raise KeyboardInterrupt
