"""Quality of service that a parameter file may change, by ROS 2's own ``qos_overrides`` parameters."""

from __future__ import annotations

from rclpy.qos_overriding_options import QoSOverridingOptions


def overridable() -> QoSOverridingOptions:
    """History, depth and reliability of a topic: ``qos_overrides.<topic>.<publisher|subscription>.*``."""
    return QoSOverridingOptions.with_default_policies()
