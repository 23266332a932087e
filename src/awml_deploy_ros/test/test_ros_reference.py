"""The generated interface reference is current and complete."""

import importlib.util

from harness_paths import REPOSITORY

from awml_deploy_ros.parameters import TABLE
from awml_deploy_ros.topics import TOPICS


def test_the_reference_is_current_and_names_everything() -> None:
    spec = importlib.util.spec_from_file_location("ros_reference", REPOSITORY / "tools/ros_reference.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.main(["--check"]) == 0, "run `python tools/ros_reference.py`"
    content = tool.document()
    assert all(f"`{item.name}`" in content for item in (*TABLE, *TOPICS))
    assert "`CLOCK_CUDA=1`" in content
