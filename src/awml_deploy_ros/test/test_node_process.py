"""The node as a process: orderly on signals, loud on bugs, one line on a wrong command line."""

import signal
import time

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from processes import HERE, TIMEOUT_S, Process

from awml_deploy_core.exit_codes import ExitCode

NODE = str(HERE / "fake_node.py")
REAL = ("-m", "awml_deploy_ros", "centerpoint_node")
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_node_that_is_being_configured(number: int) -> None:
    slow = ("-p", "warm_up_frames:=100", *AUTOSTART)
    start = time.monotonic()
    with Process(NODE, "--ros-args", *MODEL, *slow, FAKE_INFER_S="2.0") as process:
        process.wait_for("configuring")
        process.interrupt(number)
        assert process.finish() == 0
    assert time.monotonic() - start < 100 * 2.0
    assert "was told to end while it was being configured" in process.output
    assert "Traceback" not in process.output


def test_without_autostart_the_node_waits(ros) -> None:
    peer = rclpy.create_node("peer")
    seen: list = []
    peer.create_subscription(DiagnosticArray, "/diagnostics", seen.append, 10)
    with Process(NODE, "--ros-args", *MODEL) as process:
        end = time.monotonic() + TIMEOUT_S
        # More than one, because the first may be as old as the node.
        while len(seen) < 2 and time.monotonic() < end:
            rclpy.spin_once(peer, timeout_sec=0.1)
        process.interrupt()
        assert process.finish() == 0
    peer.destroy_node()
    assert {message.status[0].message for message in seen} == {"unconfigured"}
    assert process.output == ""


def test_a_bug_ends_the_node_loudly() -> None:
    with Process(NODE, "--ros-args", *MODEL, *AUTOSTART, FAKE_FAILURE="bug") as process:
        assert process.finish() == ExitCode.ERROR
    assert "ZeroDivisionError: a bug" in process.output
    assert "Traceback" in process.output


def test_a_lost_gpu_ends_the_node_so_that_launch_can_start_another() -> None:
    with Process(NODE, "--ros-args", *MODEL, *AUTOSTART, FAKE_FAILURE="lost") as process:
        assert process.finish() == ExitCode.ERROR
    assert "DeviceLostError: cuda:0: is lost. Restart the process." in process.output
    assert "Traceback" not in process.output


def test_wrong_parameters_are_one_typed_error() -> None:
    wrong = ("-p", "num_threads:=-1", "-p", "field_mapping.x:=true")
    with Process(NODE, "--ros-args", *MODEL, *wrong) as process:
        assert process.finish() == ExitCode.BAD_INPUT
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
        assert process.finish() == ExitCode.BAD_INPUT
    assert "ParameterError: ROS 2: cannot start" in process.output
    assert (value or argument) in process.output
    assert "Traceback" not in process.output


def test_an_unquoted_y_is_the_field_y() -> None:
    """`ros2 param dump` and launch files do not quote it, and rcl reads it as true."""
    with Process(NODE, "--ros-args", *MODEL, *AUTOSTART, "-p", "field_mapping.y:=y") as process:
        process.wait_for("active on /centerpoint/input/pointcloud")
        process.interrupt()
        assert process.finish() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--params-file", "/nowhere/node.param.yaml"), "Couldn't parse params file"),
        (("--parms-file", "node.param.yaml"), "--parms-file"),
        (("-p", "nonsense"), "Couldn't parse parameter override rule"),
        (("-r", "__node:=9bad"), "Couldn't parse remap rule"),
        (("--log-level", "loud"), "Couldn't parse log level"),
    ],
    ids=["missing file", "unknown flag", "no parameter", "bad name", "bad level"],
)
def test_wrong_ros_arguments_are_one_line(arguments: tuple[str, ...], words: str) -> None:
    with Process(*REAL, "--ros-args", *arguments) as process:
        assert process.finish() == ExitCode.BAD_INPUT
    assert "Traceback" not in process.output
    # Of a wrong name rcl itself speaks, too.
    line = process.output.splitlines()[-1]
    assert line.startswith("ParameterError: ROS 2: cannot start")
    assert words in line
    assert arguments[-1] in line


@pytest.mark.parametrize("domain_id", ["abc", "-3", "233", "500", "1.5", "9" * 20])
def test_a_wrong_domain_is_one_line(domain_id: str) -> None:
    with Process(*REAL, ROS_DOMAIN_ID=domain_id) as process:
        assert process.finish() == ExitCode.BAD_INPUT
    (line,) = process.output.splitlines()
    expected = f"ROS_DOMAIN_ID: is not a domain; got {domain_id}; expected an integer, 0 to 232"
    assert line == f"ParameterError: {expected}"


def test_arguments_that_nobody_would_read_are_refused() -> None:
    with Process(*REAL, "--params-file", "node.param.yaml") as process:
        assert process.finish() == ExitCode.BAD_INPUT
    assert "unrecognized arguments: --params-file node.param.yaml" in process.output


@pytest.mark.parametrize("program", ["centerpoint_node", "yolox_node", "calibration_status_node"])
def test_a_missing_bundle_leaves_the_real_node_unconfigured(program: str) -> None:
    arguments = ("-p", "model_path:=/nowhere/bundle", *AUTOSTART)
    with Process("-m", "awml_deploy_ros", program, "--ros-args", *arguments) as process:
        process.wait_for("ArtifactError: /nowhere/bundle")
        process.interrupt()
        assert process.finish() == 0
    assert "Traceback" not in process.output
