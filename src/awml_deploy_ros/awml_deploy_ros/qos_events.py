"""Messages that a subscription never got."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ModuleNotFoundError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

_PUBLISHERS = 64
"""How many publishers are remembered, the latest ones."""


class MissingMessages:
    """Counts the messages that were published to a subscription and never reached its callback.

    A message that a newer one replaced in the middleware's queue is no loss to the middleware, which does
    not report it. So the numbers that a publisher gives to its messages count wherever the middleware
    tells them, and its reports of loss elsewhere.

    Args:
        count: Told how many more are missing.
    """

    def __init__(self, count: Callable[[int], None]) -> None:
        self._count = count
        self._last: OrderedDict[bytes, int] = OrderedDict()

    def callbacks(self) -> Any:
        """Event callbacks for the subscription."""
        return SubscriptionEventCallbacks(message_lost=self._on_lost)

    def arrived(self, info: Mapping[str, Any]) -> None:
        """Note a message by what rclpy tells about it; called once a message, in order."""
        number, gid = info.get("publication_sequence_number"), info.get("publisher_gid")
        if number is None or gid is None:
            return
        publisher = bytes(gid["data"])
        last = self._last.get(publisher)
        if last is not None and number > last + 1:
            self._count(number - last - 1)
        self._last[publisher] = number if last is None else max(last, number)
        self._last.move_to_end(publisher)
        if len(self._last) > _PUBLISHERS:
            self._last.popitem(last=False)

    def _on_lost(self, event: Any) -> None:
        if not self._last:
            self._count(event.total_count_change)
