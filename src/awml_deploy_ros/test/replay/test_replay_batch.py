"""Many bags: which are found, what is done again, what becomes of a worker that dies."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from replay_bags import boxes, cloud, replayed_bag

from awml_deploy_core.errors import BagError, ParameterError, ProcessError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import folder_lock
from awml_deploy_core.runner.reports import make_report
from awml_deploy_core.verification import CheckResult, Status
from awml_deploy_ros.parameters import AT_START
from awml_deploy_ros.replay.batch import BagResult, find_bags, job_names, run_batch
from awml_deploy_ros.replay.execute import failed_report, key_of, note_attempt, write_report
from awml_deploy_ros.replay.executors import Executor, JobEnd, OnEnd
from awml_deploy_ros.replay.judge import replay_record
from awml_deploy_ros.replay.request import ReplayRequest
from awml_deploy_ros.replay.summary import exit_code_of, write_summary
from awml_deploy_ros.settings import NodeSettings

SETTINGS = NodeSettings.from_values({spec.name: spec.default for spec in AT_START} | {"model_path": "m"})


def make_bag(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information: {}\n")
    return path


def requests_for(tmp_path: Path, *names: str) -> list[ReplayRequest]:
    template = ReplayRequest("", "", str(tmp_path / "model"), str(tmp_path / "node.yaml"))
    return [template.of(make_bag(tmp_path / "bags" / name), tmp_path / "report" / name) for name in names]


class FakeExecutor(Executor):
    """Writes a verdict for every job; those of some names fail, end in an error, or never come back."""

    def __init__(self, **outcomes: str) -> None:
        self.outcomes = outcomes
        self.done: list[str] = []

    def run(self, requests: Sequence[ReplayRequest], on_end: OnEnd) -> None:
        for request in requests:
            self.done.append(request.name)
            note_attempt(request)
            outcome = self.outcomes.get(request.name, "passed")
            if outcome == "killed":
                on_end(JobEnd(request, ProcessError(request.name, "worker ended with code -9")))
                continue
            report = failed_report(request, BagError(request.bag, "bag cannot be read"))
            if outcome != "error":
                check = CheckResult("determinism", Status(outcome), "for a test")
                record = replay_record(replayed_bag(cloud(0, boxes((5, 1)))), SETTINGS, [check])
                code = ExitCode.PASSED if outcome == "passed" else ExitCode.FAILED
                report = make_report("replay", request.name, replay=record, exit_code=code)
            write_report(request, report, key_of(request))
            on_end(JobEnd(request))


def run(requests: list[ReplayRequest], executor: Executor, **options: bool) -> tuple[BagResult, ...]:
    return run_batch(requests, requests[0].folder.parent, executor, lambda result: None, **options)


def test_bags_are_found_wherever_they_are(tmp_path: Path) -> None:
    one, two = make_bag(tmp_path / "a" / "one"), make_bag(tmp_path / "a" / "deep" / "two")
    lone = tmp_path / "a" / "lone.mcap"
    lone.touch()
    make_bag(tmp_path / "a" / "report" / "output_bag")
    listed = tmp_path / "bags.txt"
    listed.write_text(f"# drives\n{one}\n\na/deep/two\n")
    assert find_bags([tmp_path / "a"], tmp_path / "a" / "report") == [two, lone, one]
    assert find_bags([listed]) == [one, two]
    assert find_bags([one, tmp_path / "nowhere", one]) == [one, tmp_path / "nowhere"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="no rosbag2"):
        find_bags([tmp_path / "empty"])


def test_bags_of_one_name_have_folders_of_their_own() -> None:
    bags = [Path("/d/1/rosbag"), Path("/d/2/rosbag"), Path("/d/other")]
    assert job_names(bags) == ["1__rosbag", "2__rosbag", "other"]
    assert len(set(job_names([Path("/rosbag"), Path("/a/rosbag"), Path("/a/a/rosbag")]))) == 3
    assert job_names([]) == []


def test_what_is_done_is_kept_and_errors_are_tried_again(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, "good", "bad", "broken")
    first = FakeExecutor(bad="failed", broken="error")
    codes = [result.report.exit_code for result in run(requests, first)]
    assert codes == [ExitCode.PASSED, ExitCode.FAILED, ExitCode.BAD_INPUT]
    second = FakeExecutor()
    results = run(requests, second)
    assert second.done == ["broken"]
    assert [result.kept for result in results] == [True, True, False]
    assert [result.report.exit_code for result in results] == [0, 1, 0]
    third = FakeExecutor()
    run(requests, third, fresh=True)
    assert third.done == ["good", "bad", "broken"]


def test_another_question_or_another_bag_is_another_job(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, "a", "b")
    run(requests, FakeExecutor())
    Path(requests[0].bag, "more.db3").write_text("more")
    again = FakeExecutor()
    run([requests[0], replace(requests[1], floors={"mean_ap": 0.5})], again)
    assert again.done == ["a", "b"]


def test_a_worker_that_never_comes_back_is_an_error_of_that_bag(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, "good", "lost")
    results = run(requests, FakeExecutor(lost="killed"))
    assert [result.report.exit_code for result in results] == [ExitCode.PASSED, ExitCode.ERROR]
    assert exit_code_of(results) == ExitCode.ERROR
    lines = (requests[1].folder / "result.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["Result"]["Success"] is False


def test_the_summary_has_every_bag(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, "good", "bad", "broken<b>")
    results = run(requests, FakeExecutor(bad="failed", **{"broken<b>": "error"}))
    report = tmp_path / "report"
    write_summary(results, report)
    content = json.loads((report / "summary.json").read_text())
    assert content["counts"] == {"passed": 1, "failed": 1, "error": 1}
    assert [bag["status"] for bag in content["bags"]] == ["passed", "failed", "error"]
    assert content["bags"][0]["checks"] == {"determinism": "passed"}
    assert content["bags"][0]["digest"]
    page = (report / "summary.html").read_text()
    assert 'href="good/report.html"' in page
    assert "broken<b>" not in page
    junit = ET.parse(report / "junit.xml").getroot()
    assert (junit.get("failures"), junit.get("errors")) == ("1", "1")
    assert len(junit) == 3


def test_two_replays_do_not_write_one_folder(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, "a")
    (tmp_path / "report").mkdir()
    with folder_lock(tmp_path / "report"), pytest.raises(ProcessError, match="another replay"):
        run(requests, FakeExecutor())


def test_a_request_travels_as_text() -> None:
    request = ReplayRequest("/bag", "/report", "/model", "/node.yaml", floors={"mean_ap": 0.5}, recheck=3)
    assert ReplayRequest.from_json(request.to_json()) == request
    with pytest.raises(ParameterError, match="cannot be read"):
        ReplayRequest.from_json('{"bag": 1}')


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recheck": 0, "reference": "pytorch"}, "recheck must not be 0"),
        ({"reference": "pytorch:tpu"}, "tpu"),
        ({"reference": ":cpu"}, "names no backend"),
        ({"find_rate": True}, "no rate to find"),
        ({"mode": "live", "find_rate": True, "attach": "/node"}, "nodes of its own"),
        ({"rate_hz": 0.0}, "rate 0.0 Hz"),
        ({"baseline_limits": "fp8"}, "fp8"),
        ({"max_distance": -1.0, "match_ms": -1.0, "pictures": -1}, "pictures -1"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(changes, words) -> None:
    with pytest.raises(ParameterError, match=words):
        ReplayRequest("/bag", "/report", "/model", "/node.yaml", **changes)
