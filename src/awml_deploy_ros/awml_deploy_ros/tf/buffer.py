"""A thread-safe buffer of transforms in which a thread can wait for one that is late."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Protocol

from awml_deploy_ros.tf.pose import FrameTransform, Matrix
from awml_deploy_ros.tf.problems import TransformProblem, TransformUnavailableError

JUMP_NS = 1_000_000_000
"""A transform this much older than the newest of its frame means that time jumped back [ns]; less
is a message that overtook another."""
_SILENCE_S = 1.0
"""After this long without any transform nobody waits for one."""


class TransformStore(Protocol):
    """Keeps transforms; used under a lock."""

    def set(self, transform: FrameTransform, *, static: bool) -> None:
        """Add a transform."""
        ...

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """float64 [4, 4] from ``source`` to ``target`` at exactly a time [ns].

        Raises:
            TransformUnavailableError: There is none.
        """
        ...

    def clear(self) -> None:
        """Forget what moves; static frames stay."""
        ...


class TransformBuffer:
    """Fed by the executor's thread, asked by the worker's.

    Args:
        store: What keeps the transforms.
    """

    def __init__(self, store: TransformStore) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._newest_ns: dict[str, int] = {}
        self._last_arrival_s = time.monotonic()
        self._closed = False
        self._time_jumps = 0

    @property
    def time_jumps(self) -> int:
        """How often time jumped back, so that what moves was forgotten."""
        return self._time_jumps

    def add(self, transforms: Iterable[FrameTransform], *, static: bool = False) -> None:
        """Add the transforms of one message and wake who waits for them."""
        with self._changed:
            for transform in transforms:
                if not static:
                    self._note_time(transform)
                self._store.set(transform, static=static)
            self._last_arrival_s = time.monotonic()
            self._changed.notify_all()

    def lookup(self, target: str, source: str, stamp_ns: int, timeout_s: float = 0.0) -> Matrix:
        """float64 [4, 4] from the frame ``source`` to the frame ``target`` at a time.

        Args:
            target: Frame into which points are moved.
            source: Frame in which they are.
            stamp_ns: Exact time [ns]; between two transforms the one in between is interpolated.
            timeout_s: How long to wait for a transform that is late [s]. Nobody waits for another
                reason, or if no transform at all has come for a second.

        Raises:
            TransformUnavailableError: There is none, or none in time.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                try:
                    return self._store.lookup(target, source, stamp_ns)
                except TransformUnavailableError as error:
                    now = time.monotonic()
                    end = min(deadline, self._last_arrival_s + _SILENCE_S)
                    if (
                        error.transform_problem is not TransformProblem.TOO_LATE
                        or self._closed
                        or now >= end
                    ):
                        raise
                self._changed.wait(end - now)

    def close(self) -> None:
        """End every wait, present and future."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _note_time(self, transform: FrameTransform) -> None:
        newest_ns = self._newest_ns.get(transform.child, transform.stamp_ns)
        if transform.stamp_ns < newest_ns - JUMP_NS:
            # Poses from before and after the jump must not be interpolated with each other.
            self._store.clear()
            self._newest_ns.clear()
            self._time_jumps += 1
            newest_ns = transform.stamp_ns
        self._newest_ns[transform.child] = max(newest_ns, transform.stamp_ns)
