"""What every node of a model has, over real DDS."""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from awml_deploy_msgs.msg import DetectionFrame, Provenance
from clouds import cloud_of
from diagnostic_msgs.msg import DiagnosticArray
from harness import NODE, STATES, Harness, wait_until
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.counters import CLOUDS
from awml_deploy_ros.diagnostic_keys import BUDGET_KEYS, SNIPPET_KEYS, processing_keys
from awml_deploy_ros.node.executors import group_served
from awml_deploy_ros.parameters import BY_NAME, CLASS_SCORES_PREFIX

pytestmark = pytest.mark.usefixtures("ros_for_all")
POINTS = np.tile(np.array([[1.0, 2.0, 3.0, 50.0]], np.float32), (10, 1))


def budget_file(folder: Path, stage: str, limit_ms: float) -> str:
    path = folder / "budget.yaml"
    limits = {"max_allowed_processing_time_ms": limit_ms, "max_acceptable_consecutive_delay_ms": 50.0}
    path.write_text(yaml.safe_dump({"stages": {stage: limits}}))
    return str(path)


def status(message: DiagnosticArray, part: str) -> dict[str, str]:
    for entry in message.status:
        if entry.name.endswith(f": {part}"):
            return {"level": str(entry.level[0]), **{item.key: item.value for item in entry.values}}
    return dict.fromkeys(("level", "written", "not_written", "failed", "last_error"), "0")


def run_frames(h: Harness, frames: list, number: int) -> None:
    for index in range(number):
        h.publisher.publish(cloud_of(POINTS, stamp=(10 + index, 0)))
        assert wait_until(lambda index=index: len(frames) == index + 1)


def test_the_record_says_how_frames_lie_among_each_other() -> None:
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        h.configure()
        h.activate()
        run_frames(h, frames, 3)
    assert [frame.cyclic_time_ms > 0 for frame in frames] == [False, True, True]
    assert [frame.jitter_ms > 0 for frame in frames] == [False, False, True]
    assert frames[2].jitter_ms == pytest.approx(
        abs(frames[2].cyclic_time_ms - frames[1].cyclic_time_ms), abs=1e-6
    )
    assert all(frame.transport_valid and 0 < frame.transport_ms < 60_000 for frame in frames)
    assert frames[0].header_age_problem == "more than a minute: another time base"


def test_frames_over_budget_are_said_in_record_and_diagnostics_and_kept(tmp_path: Path) -> None:
    budget = budget_file(tmp_path, "backbone_head", 5.0)
    folder = tmp_path / "snippets"
    values = {"snippets.folder": str(folder), "snippets.seconds_after": 0.2}
    with Harness(latency_budget_file=budget, **values) as h:
        frames = h.collect(DetectionFrame, "output/frame")
        diagnostics = h.collect(DiagnosticArray, "/diagnostics")
        h.configure()
        h.activate()
        run_frames(h, frames, 2)
        h.models.state.infer_s = 0.05
        h.publisher.publish(cloud_of(POINTS, stamp=(30, 7)))
        assert wait_until(lambda: len(frames) == 3)
        assert frames[2].over_budget.startswith("backbone_head took ")
        assert wait_until(lambda: status(diagnostics[-1], "latency budget")["level"] in ("1", "2"))
        for number in range(4, 7):
            h.publisher.publish(cloud_of(POINTS, stamp=(27 + number, 7)))
            assert wait_until(lambda number=number: len(frames) == number)
        assert wait_until(lambda: status(diagnostics[-1], "latency budget")["level"] == "2")
        found = status(diagnostics[-1], "latency budget")
        assert set(found) - {"level"} == {key.replace("<item>", "backbone_head") for key in BUDGET_KEYS}
        assert wait_until(lambda: status(diagnostics[-1], "snippets")["written"] == "1")
        found = status(diagnostics[-1], "snippets")
        assert set(found) - {"level"} == set(SNIPPET_KEYS)
        # Those that followed came too soon after it.
        assert wait_until(lambda: int(status(diagnostics[-1], "snippets")["not_written"]) >= 1)
        assert set(status(diagnostics[-1], "processing")) - {"level"} == set(processing_keys(CLOUDS))
        h.models.state.infer_s = 0.0
        assert h.fatal.error is None
    (snippet,) = folder.iterdir()
    summary = json.loads((snippet / "snippet.json").read_text())
    assert (summary["reason"], summary["frame_stamp_ns"]) == ("over_budget", 30_000_000_007)
    parameters = yaml.safe_load((snippet / "parameters.yaml").read_text())["/**"]["ros__parameters"]
    assert parameters["latency_budget_file"] == budget
    source = CloudTopic.find(snippet / "bag")
    assert (source.name, source.count >= 3) == (f"{NODE}/input/pointcloud", True)


def test_snippets_that_cannot_be_written_are_counted_with_the_reason(tmp_path: Path, monkeypatch) -> None:
    values = {"snippets.folder": str(tmp_path / "s"), "snippets.seconds_after": 0.0}
    values["snippets.min_free_mb"] = 1e7
    with Harness(latency_budget_file=budget_file(tmp_path, "decode", 1e-6), **values) as h:
        diagnostics = h.collect(DiagnosticArray, "/diagnostics")
        frames = h.collect(DetectionFrame, "output/frame")
        h.configure()
        h.activate()
        run_frames(h, frames, 1)
        assert wait_until(lambda: diagnostics and len(diagnostics[-1].status) > 3)
        assert wait_until(lambda: status(diagnostics[-1], "snippets")["failed"] == "1")
        assert "the disk is full" in status(diagnostics[-1], "snippets")["last_error"]
        run_frames(h, frames[:0], 0)
        assert h.fatal.error is None


def test_provenance_is_there_for_who_comes_later() -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with Harness() as h:
        h.configure()
        found: list = []
        h.peer.create_subscription(Provenance, f"{NODE}/output/provenance", found.append, latched)
        assert wait_until(lambda: len(found) == 1)
        (message,) = found
        assert (message.model.model_name, message.model.backend) == ("fake", "fake_backend")
        versions = {entry.name: entry.value for entry in message.versions}
        assert {"python", "numpy", "awml_deploy_core"} <= set(versions)
        parameters = yaml.safe_load(message.parameters)["/**"]["ros__parameters"]
        assert parameters["post_process_params.iou_nms_threshold"] == 0.5
        scores = {f"{CLASS_SCORES_PREFIX}.{name}" for name in ("CAR", "PEDESTRIAN")}
        assert set(parameters) <= {*BY_NAME, *scores, "use_sim_time"}
        h.set_parameters(**{"post_process_params.iou_nms_threshold": 0.25})
        assert wait_until(lambda: len(found) == 2)
        parameters = yaml.safe_load(found[1].parameters)["/**"]["ros__parameters"]
        assert parameters["post_process_params.iou_nms_threshold"] == 0.25


class SlowCommand:
    """A self-test that waits until a file is there and then says that it failed."""

    SCRIPT = """
import json, pathlib, sys, time
go = pathlib.Path(sys.argv[1])
while not go.exists():
    time.sleep(0.01)
check = {"status": "failed", "name": "head", "message": "differs"}
record = {"status": "failed", "summary": "FAILED: 0 of 1", "checks": [check]}
pathlib.Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps({"selftest": record}))
"""

    def __init__(self, folder: Path) -> None:
        self.go = folder / "go"
        self.command = (sys.executable, "-c", self.SCRIPT, str(self.go))


def test_the_node_works_while_a_slow_service_does(tmp_path: Path) -> None:
    slow = SlowCommand(tmp_path)
    with Harness(evidence_folder=str(tmp_path / "evidence")) as h:
        diagnostics = h.collect(DiagnosticArray, "/diagnostics")
        frames = h.collect(DetectionFrame, "output/frame")
        h.node._slow_services.selftest.command = slow.command
        client = h.peer.create_client(Trigger, f"{NODE}/self_test")
        evidence = h.peer.create_client(Trigger, f"{NODE}/write_evidence")
        assert client.wait_for_service(timeout_sec=60)
        h.exclude(h.node.slow_group)
        with group_served(h.node, h.node.slow_group, h.node.stop_waiting, h.fatal):
            answer = client.call(Trigger.Request())
            assert (answer.success, "has no model" in answer.message) == (False, True)
            h.configure()
            h.activate()
            future = client.call_async(Trigger.Request())
            assert wait_until(lambda: h.node._slow_services.selftest._process is not None)
            run_frames(h, frames, 1)
            seen = len(diagnostics)
            assert h.state() == STATES["active"]
            assert wait_until(lambda: len(diagnostics) > seen)
            assert not future.done()
            slow.go.touch()
            assert wait_until(future.done)
            assert future.result().message == "FAILED: 0 of 1; failed: head: differs"
            assert not future.result().success
            answer = evidence.call(Trigger.Request())
            assert answer.success, answer.message
    pack = Path(answer.message)
    assert {path.name for path in pack.iterdir()} == {
        *("diagnostics.json", "gpu.json", "host.json", "latency.json", "parameters.yaml", "provenance.json")
    }
    stages = {entry["name"] for entry in json.loads((pack / "latency.json").read_text())}
    assert {"decode", "end_to_end", "transport"} <= stages
    assert json.loads((pack / "host.json").read_text())["process"]["threads"] > 1
    assert "gpus" in json.loads((pack / "gpu.json").read_text())


def test_a_self_test_does_not_outlive_the_node(tmp_path: Path) -> None:
    with Harness() as h:
        h.configure()
        h.node._slow_services.selftest.command = SlowCommand(tmp_path).command
        results: list = []
        thread = threading.Thread(target=lambda: results.append(_failure(h)))
        thread.start()
        assert wait_until(lambda: h.node._slow_services.selftest._process is not None)
        start = time.monotonic()
        h.node.stop_waiting()
        thread.join()
        assert time.monotonic() - start < 30
        assert "without a result" in results[0]


def _failure(h: Harness) -> str:
    try:
        return str(h.node._slow_services.self_test())
    except Exception as error:  # noqa: BLE001 - whichever it is, it is what the test looks at.
        return str(error)


@pytest.mark.parametrize("atomically", [False, True])
def test_a_parameter_of_a_type_that_does_not_exist_is_refused(atomically) -> None:
    wrong = ParameterMessage(name="latency_window", value=ParameterValue(type=99))
    nameless = ParameterMessage(name="", value=ParameterValue(type=2, integer_value=1))
    name = "diagnostics.max_allowed_processing_time_ms"
    good = ParameterMessage(name=name, value=ParameterValue(type=3, double_value=150.0))
    with Harness() as h:
        if atomically:
            request = SetParametersAtomically.Request(parameters=[wrong, good])
            result = h.call("set_parameters_atomically", request).result
            assert (result.successful, "no parameter type 99" in result.reason) == (False, True)
            assert h.get_parameter(name).double_value == 200.0
        else:
            request = SetParameters.Request(parameters=[wrong, nameless, good])
            results = h.call("set_parameters", request).results
            assert [result.successful for result in results] == [False, False, True]
            assert h.get_parameter(name).double_value == 150.0


def test_quality_of_service_may_be_overridden() -> None:
    topic = f"{NODE}/input/pointcloud"
    overrides = {f"qos_overrides.{topic}.subscription.reliability": "reliable"}
    with Harness(**overrides) as h:
        frames = h.collect(DetectionFrame, "output/frame")
        h.configure()
        for _ in range(2):
            h.change(Transition.TRANSITION_ACTIVATE)
            (info,) = h.peer.get_subscriptions_info_by_topic(topic)
            assert info.qos_profile.reliability == rclpy.qos.ReliabilityPolicy.RELIABLE
            h.change(Transition.TRANSITION_DEACTIVATE)
        assert frames == []
        assert h.fatal.error is None
