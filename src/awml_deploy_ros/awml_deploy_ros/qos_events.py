"""Loss that the middleware reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ModuleNotFoundError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


def lost_message_events(count_lost: Callable[[int], None]) -> Any:
    """Event callbacks of a subscription that count messages lost on the way."""
    return SubscriptionEventCallbacks(message_lost=lambda event: count_lost(event.total_count_change))
