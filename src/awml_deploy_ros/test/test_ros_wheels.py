"""The repair of the wheels' CMake files."""

import importlib.util
from pathlib import Path

import pytest
from harness_paths import REPOSITORY

SCRIPT = REPOSITORY / "tools/ros_wheels.py"
BAKED = (
    'INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp311-cp311/include/python3.11;'
    '/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"\n'
)


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("ros_wheels", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_include_paths_are_rewritten_once(tool, tmp_path: Path) -> None:
    file = tmp_path / "share/std_msgs/cmake/export_std_msgs__rosidl_generator_pyExport.cmake"
    file.parent.mkdir(parents=True)
    file.write_text(BAKED)
    assert tool.repair(tmp_path, "/usr/include/python3.12", "/x/numpy") == 1
    assert file.read_text() == 'INTERFACE_INCLUDE_DIRECTORIES "/usr/include/python3.12;/x/numpy"\n'
    assert tool.repair(tmp_path, "/usr/include/python3.12", "/x/numpy") == 0


def test_other_files_stay_as_they_are(tool, tmp_path: Path) -> None:
    file = tmp_path / "share/std_msgs/cmake/std_msgsConfig.cmake"
    file.parent.mkdir(parents=True)
    file.write_text(BAKED)
    assert tool.repair(tmp_path, "a", "b") == 0
    assert file.read_text() == BAKED


def test_an_environment_without_wheels_is_an_error(tool, tmp_path: Path, capsys) -> None:
    assert tool.main(["--prefix", str(tmp_path)]) == 1
    assert "no ROS wheels" in capsys.readouterr().err
