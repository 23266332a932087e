"""SIGINT and SIGTERM, caught from a program's first moment.

This module imports next to nothing, so that a program catches signals before its slow imports: there
Python turns SIGINT into a KeyboardInterrupt, which now and then ends in a place that swallows it.
"""

from __future__ import annotations

import queue
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopFlag:
    """An event that a signal handler may set.

    ``threading.Event`` may not be: a handler that interrupts the main thread inside ``wait`` or
    ``set`` would wait for ever for the lock that its own thread holds.
    """

    def __init__(self) -> None:
        self._is_set = False
        # Its put is reentrant.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        self._is_set = True
        self._wake.put(None)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is set or time is up; return whether it is set."""
        if not self._is_set:
            try:
                self._wake.get(timeout=timeout_s)
            except queue.Empty:
                return self._is_set
            # For the next one who waits.
            self._wake.put(None)
        return self._is_set


CAUGHT = StopFlag()
"""Set by signals that came before anybody asked for them with a flag of their own."""


def catch(stop: StopFlag = CAUGHT) -> None:
    """Let SIGINT and SIGTERM set a flag from now on; one that :data:`CAUGHT` has counts too."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    if CAUGHT.is_set():
        stop.set()


def ignore() -> None:
    """Let SIGINT and SIGTERM do nothing from now on, not even while the interpreter shuts down."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
