"""The last seconds of messages, held in memory."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class HeldMessage:
    """A message as it came; nobody changes it."""

    topic: str
    message: Any
    arrival_ns: int
    """Monotonic clock [ns]."""
    wall_ns: int
    """System clock [ns], which is what bags have."""
    size: int
    """Bytes, about."""


class MessageRing:
    """Keeps messages for some seconds, and latched ones for ever; thread-safe.

    Args:
        seconds: How long.
        max_bytes: The oldest go earlier where they need more than this.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._held: deque[HeldMessage] = deque()
        self._latched: list[HeldMessage] = []
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes held, about."""
        return self._bytes

    def add(self, held: HeldMessage) -> None:
        """Hold a message; those that are too old go."""
        with self._lock:
            self._held.append(held)
            self._bytes += held.size
            oldest = held.arrival_ns - round(self._seconds * 1e9)
            while self._held and (self._held[0].arrival_ns < oldest or self._bytes > self._max_bytes):
                self._bytes -= self._held.popleft().size

    def latch(self, held: HeldMessage) -> None:
        """Hold a message of a topic whose messages stay true."""
        with self._lock:
            self._latched.append(held)

    def between(self, start_ns: int, end_ns: int) -> list[HeldMessage]:
        """Messages that came in a time, in order, after the latched ones of before its end."""
        with self._lock:
            latched = [held for held in self._latched if held.arrival_ns <= end_ns]
            return [*latched, *(held for held in self._held if start_ns <= held.arrival_ns <= end_ns)]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self._latched.clear()
            self._bytes = 0
