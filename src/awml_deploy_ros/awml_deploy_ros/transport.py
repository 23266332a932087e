"""Transport settings that let clouds of several megabytes through."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

PACKAGE = "awml_deploy_ros"
# Fast DDS 2 (Humble, Jazzy) and 3 (Kilted) read different names.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


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
    if any(current.get(name) for name in PROFILE_VARIABLES):
        return {}
    return dict.fromkeys(PROFILE_VARIABLES, str(profile_path()))
