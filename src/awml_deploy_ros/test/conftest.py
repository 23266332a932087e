"""Every test process talks to itself only."""

import os
from collections.abc import Iterator

import pytest

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)


@pytest.fixture
def ros() -> Iterator[None]:
    """An initialised rclpy."""
    import rclpy

    rclpy.init(args=[])
    yield
    rclpy.try_shutdown()
