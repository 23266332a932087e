"""The node as a process: orderly on signals, loud on bugs."""

import signal
import time

import pytest
from processes import HERE, Process

NODE = str(HERE / "fake_node.py")
MODEL = ("-p", "model_path:=fake")
AUTOSTART = ("-p", "autostart:=true")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
def test_a_signal_ends_an_active_node_cleanly(number: int, twice: bool) -> None:
    with Process(NODE, "--ros-args", *MODEL, *AUTOSTART) as process:
        process.wait_for("active on /centerpoint/input/pointcloud")
        process.interrupt(number)
        if twice:
            time.sleep(0.05)
            process.interrupt(number)
        assert process.finish() == 0
    assert "Traceback" not in process.output


def test_without_autostart_the_node_waits() -> None:
    with Process(NODE, "--ros-args", *MODEL, "--log-level", "debug") as process:
        time.sleep(1.0)
        process.interrupt()
        assert process.finish() == 0
    assert "configured" not in process.output.replace("unconfigured", "")


def test_a_bug_ends_the_node_loudly() -> None:
    with Process(NODE, "--ros-args", *MODEL, *AUTOSTART, FAKE_FAILURE="1") as process:
        assert process.finish() == 1
    assert "ZeroDivisionError: a bug" in process.output


def test_wrong_parameters_are_one_typed_error() -> None:
    wrong = ("-p", "num_threads:=-1", "-p", "field_mapping.x:=true")
    with Process(NODE, "--ros-args", *MODEL, *wrong) as process:
        assert process.finish() == 1
    assert "ParameterError: node parameters: are invalid" in process.output
    assert "num_threads" in process.output
    assert "field_mapping.x" in process.output
    assert "Traceback" not in process.output


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--params-file", "not YAML: ["),
        ("--params-file", "model_path: flat"),
        ("-r", "no_rule"),
        ("-x", ""),
    ],
    ids=["broken file", "file without ros__parameters", "broken rule", "unknown argument"],
)
def test_arguments_that_ros_refuses_are_one_typed_error(argument: str, value: str, tmp_path) -> None:
    if argument == "--params-file":
        file = tmp_path / "node.param.yaml"
        file.write_text(value)
        value = str(file)
    with Process(NODE, "--ros-args", *MODEL, argument, value) as process:
        assert process.finish() == 1
    assert "ParameterError: arguments after --ros-args: are refused by ROS" in process.output
    assert (value or argument) in process.output
    assert "Traceback" not in process.output


def test_an_unquoted_y_is_the_field_y() -> None:
    """`ros2 param dump` and launch files do not quote it, and rcl reads it as true."""
    with Process(NODE, "--ros-args", *MODEL, *AUTOSTART, "-p", "field_mapping.y:=y") as process:
        process.wait_for("active on /centerpoint/input/pointcloud")
        process.interrupt()
        assert process.finish() == 0


def test_a_missing_bundle_leaves_the_real_node_unconfigured() -> None:
    arguments = ("-p", "model_path:=/nowhere/bundle", *AUTOSTART)
    with Process("-m", "awml_deploy_ros.centerpoint_node", "--ros-args", *arguments) as process:
        process.wait_for("ArtifactError: /nowhere/bundle")
        process.interrupt()
        assert process.finish() == 0
    assert "Traceback" not in process.output
