"""One thread for a callback group whose callbacks take long, another for everything else of a node.

rclpy's MultiThreadedExecutor would do, but destroys what its threads still use when it is shut down, and
hands every cloud from thread to thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

_POLL_S = 0.1


class ExecutorWithout(SingleThreadedExecutor):  # type: ignore[misc]
    """Serves everything but one callback group."""

    def __init__(self, group: CallbackGroup) -> None:
        super().__init__()
        self._left_out = group

    def can_execute(self, entity: Any) -> bool:
        return entity.callback_group is not self._left_out and bool(super().can_execute(entity))


class _GroupExecutor(SingleThreadedExecutor):  # type: ignore[misc]
    """Serves one callback group of a node that belongs to another executor."""

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        super().__init__()
        self._node = node
        self._group = group

    def get_nodes(self) -> list[Node]:
        # Adding the node would take it away from the other executor.
        return [self._node]

    def can_execute(self, entity: Any) -> bool:
        return entity.callback_group is self._group and bool(super().can_execute(entity))


@contextmanager
def group_served(
    node: Node, group: CallbackGroup, before_end: Callable[[], None], on_error: Any
) -> Iterator[None]:
    """Serve a callback group in a thread of its own while the block runs.

    Args:
        node: Whose group it is; it must not get new members meanwhile.
        group: The group.
        before_end: Called at the end of the block, to end a callback that takes long.
        on_error: Context manager that takes unexpected exceptions of the callbacks.
    """
    executor = _GroupExecutor(node, group)
    stop = threading.Event()

    def spin() -> None:
        with on_error:
            while not stop.is_set():
                executor.spin_once(timeout_sec=_POLL_S)

    thread = threading.Thread(target=spin, name="slow_services")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        before_end()
        thread.join()
        executor.shutdown()
