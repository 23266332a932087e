"""The monitor of a live run and the status it writes."""

from pathlib import Path

import pytest
import rclpy
from awml_deploy_msgs.msg import DetectionFrame
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from harness import wait_until
from processes import Process
from sensor_msgs.msg import PointCloud2

from awml_deploy_core.errors import ArtifactError, ProcessError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_ros.live.status import LiveCounters, LiveStatus, configure_problem, listeners_of

NODE = "/centerpoint"
INPUT = "/points"
FRAME = "/centerpoint/output/frame"


def diagnostics(**values: int) -> DiagnosticArray:
    status = DiagnosticStatus(name="centerpoint: processing")
    status.values = [KeyValue(key=key.replace("_", "."), value=str(value)) for key, value in values.items()]
    return DiagnosticArray(status=[status])


def test_a_status_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    assert LiveStatus.read(path) == LiveStatus()
    status = LiveStatus(True, LiveCounters(5, 3, {"malformed": 1}))
    status.write(path)
    assert LiveStatus.read(path) == status
    assert status.counters.accounted == 4
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ready": true, "counters": {"other": 1}}'])
def test_a_file_that_is_no_status_is_one_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "status.json"
    path.write_text(text)
    with pytest.raises(ProcessError, match="is not a status of the monitor"):
        LiveStatus.read(path)


def test_a_status_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="status file cannot be written"):
        LiveStatus().write(tmp_path / "missing" / "status.json")


def test_counters_of_diagnostics_are_those_of_the_node() -> None:
    found = LiveCounters.of_diagnostics(diagnostics(received=4, processed=2, dropped_malformed=1), NODE)
    assert found == LiveCounters(4, 2, {"malformed": 1})
    assert LiveCounters.of_diagnostics(diagnostics(received=4, processed=2), "/other") is None
    assert LiveCounters.of_diagnostics(diagnostics(), NODE) is None


def test_listeners_of_diagnostics_are_those_of_the_node() -> None:
    assert listeners_of(diagnostics(listeners=2), NODE) == 2
    assert listeners_of(diagnostics(listeners=2), "/other", 1) == 1
    assert listeners_of(diagnostics(received=4), NODE, 1) == 1


def test_a_node_that_could_not_be_configured_says_why() -> None:
    status = DiagnosticStatus(name="centerpoint: processing", level=b"\x02", message="no bundle")
    status.values = [KeyValue(key="state", value="unconfigured")]
    message = DiagnosticArray(status=[status])
    assert configure_problem(message, NODE) == "no bundle"
    assert configure_problem(message, "/other") == ""
    status.level = b"\x01"
    assert configure_problem(message, NODE) == ""


def test_the_monitor_tells_readiness_and_counters_until_a_signal(ros: None, tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    peer = rclpy.create_node("peer")
    frames = peer.create_publisher(DetectionFrame, FRAME, 50)
    arguments = ("-m", "awml_deploy_ros", "monitor", str(path), "--node", NODE, "--input", INPUT)
    with Process(*arguments) as process:
        assert wait_until(lambda: path.exists())
        assert not LiveStatus.read(path).ready
        # What plays the node's part is an input, a record, and its word that somebody records it.
        peer.create_subscription(PointCloud2, INPUT, print, 1)
        peer.create_subscription(DetectionFrame, FRAME, print, 50)
        told = peer.create_publisher(DiagnosticArray, "/diagnostics", 10)

        def ready(listeners: int) -> bool:
            told.publish(diagnostics(listeners=listeners))
            return LiveStatus.read(path).ready

        assert not wait_until(lambda: ready(1), timeout_s=0.5)
        assert wait_until(lambda: ready(2))
        message = DetectionFrame()
        message.counters.received = 7
        message.counters.processed = 6

        def counted() -> bool:
            frames.publish(message)
            return LiveStatus.read(path).counters.processed == 6

        assert wait_until(counted)
        process.interrupt()
        assert process.finish() == 0, process.output
    peer.destroy_node()
    assert LiveStatus.read(path).counters == LiveCounters(7, 6)


def test_a_folder_that_is_missing_ends_the_monitor_with_one_error(tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "status.json")
    with Process("-m", "awml_deploy_ros", "monitor", path, "--node", NODE, "--input", INPUT) as process:
        assert process.finish() == ExitCode.BAD_INPUT
    assert "ArtifactError" in process.output
    assert "Traceback" not in process.output
