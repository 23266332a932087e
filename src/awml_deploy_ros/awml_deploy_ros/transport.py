"""Transport settings that let clouds of several megabytes through."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

PACKAGE = "awml_deploy_ros"
FASTDDS_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
FASTRTPS_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
"""The name before Fast DDS 3, which warns about it."""
_FASTDDS_2 = frozenset({"humble", "iron", "jazzy"})


def profile_path() -> Path:
    """The installed Fast DDS profile."""
    return Path(get_package_share_directory(PACKAGE), "config", "fastdds_profile.xml")


def large_cloud_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that a process needs to publish or receive large clouds over Fast DDS.

    Args:
        environment: The process' environment (default: this one's).

    Returns:
        Nothing where the environment names a profile already: the user's choice stands.
    """
    current = os.environ if environment is None else environment
    if current.get(FASTDDS_VARIABLE) or current.get(FASTRTPS_VARIABLE):
        return {}
    name = FASTRTPS_VARIABLE if current.get("ROS_DISTRO") in _FASTDDS_2 else FASTDDS_VARIABLE
    return {name: str(profile_path())}
