"""Fast DDS settings for large clouds."""

from xml.etree import ElementTree

import pytest
from harness_paths import REPOSITORY

from awml_deploy_ros.transport import large_cloud_environment, profile_path

MEBIBYTE = 1 << 20


def test_the_profile_has_room_for_clouds_and_keeps_other_machines_in_reach() -> None:
    root = ElementTree.parse(REPOSITORY / "config/fastdds_profile.xml").getroot()
    name = root.tag.partition("}")[0] + "}"
    transports = {item.findtext(f"{name}type"): item for item in root.iter(f"{name}transport_descriptor")}
    assert set(transports) == {"SHM", "UDPv4"}
    assert int(transports["SHM"].findtext(f"{name}segment_size")) == 128 * MEBIBYTE
    assert int(transports["SHM"].findtext(f"{name}maxMessageSize")) == 32 * MEBIBYTE


def test_the_profile_is_installed() -> None:
    assert profile_path().read_text() == (REPOSITORY / "config/fastdds_profile.xml").read_text()


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_the_variable_is_the_one_that_the_distribution_reads(distribution: str, variable: str) -> None:
    environment = large_cloud_environment({"ROS_DISTRO": distribution})
    assert environment == {variable: str(profile_path())}


@pytest.mark.parametrize("variable", ["FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"])
def test_the_users_profile_stands(variable: str) -> None:
    assert large_cloud_environment({variable: "mine.xml"}) == {}
