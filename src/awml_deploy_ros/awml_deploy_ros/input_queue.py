"""Inputs on their way from the middleware to the pipeline."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from awml_deploy_ros.frame import NO_TRANSPORT, Transport


@dataclass(frozen=True, eq=False)
class ReceivedInput:
    """A message and when it arrived."""

    message: Any
    """What the middleware gave, or several of it that belong together; has a ``header``."""
    arrival_ns: int
    """Monotonic clock [ns]."""
    transport: Transport = NO_TRANSPORT
    queued_ns: int = field(default_factory=time.monotonic_ns)
    """When it was complete, monotonic clock [ns]."""


class LatestInput:
    """A queue of one: the latest input wins."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: ReceivedInput | None = None
        self._closed = False

    def put(self, received: ReceivedInput) -> ReceivedInput | None:
        """Store an input; return the one that it replaced, which nobody took.

        Once the queue is closed that is the input itself.
        """
        with self._condition:
            if self._closed:
                return received
            replaced, self._waiting = self._waiting, received
            self._condition.notify()
            return replaced

    def take(self) -> ReceivedInput | None:
        """Wait for an input; ``None`` once the queue is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._waiting is not None)
            if self._closed:
                return None
            received, self._waiting = self._waiting, None
            return received

    def close(self) -> int:
        """End every wait; return how many inputs were left."""
        with self._condition:
            self._closed = True
            left = int(self._waiting is not None)
            self._waiting = None
            self._condition.notify_all()
            return left
