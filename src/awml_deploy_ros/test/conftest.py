"""Every test process talks to itself only."""

import os
from collections.abc import Iterator

import pytest

from awml_deploy_ros.domains import reserve_domain_id

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())


@pytest.fixture
def ros() -> Iterator[None]:
    """An initialised rclpy."""
    yield from _initialised()


@pytest.fixture(scope="module")
def ros_for_all() -> Iterator[None]:
    """One initialised rclpy for all tests of a module.

    Where many tests start and end participants, discovery now and then misses an endpoint.
    """
    yield from _initialised()


def _initialised() -> Iterator[None]:
    import rclpy

    rclpy.init(args=[])
    yield
    rclpy.try_shutdown()
