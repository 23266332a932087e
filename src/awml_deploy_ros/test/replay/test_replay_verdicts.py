"""Accounting, budget, accuracy, and the lines that other tools read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_bags import CLASSES, MS, PERIOD_MS, START_MS, boxes, cloud, replayed_bag

from awml_deploy_core.errors import DatasetError
from awml_deploy_core.evaluation import DetectionMetricSettings
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.verification import CheckResult, Status
from awml_deploy_ros.replay import accuracy, score_lines
from awml_deploy_ros.replay.accuracy import AccuracySettings, Scored, accuracy_checks, ground_truth_file
from awml_deploy_ros.replay.checks import budget_check, fate_checks
from awml_deploy_ros.replay.find_rate import find_rate
from awml_deploy_ros.replay.frames import UNEXPLAINED
from awml_deploy_ros.replay.score_lines import write_score_lines


def statuses(checks) -> dict[str, Status]:
    return {check.name: check.status for check in checks}


def test_drops_with_a_reason_are_accounted_for() -> None:
    run = replayed_bag(cloud(0, boxes((5, 1))), cloud(1, None))
    assert set(statuses(fate_checks(run)).values()) == {Status.PASSED}


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"accounted": 1}, {"every cloud accounted for", "every frame recorded"}),
        ({"node_exit_code": -9}, {"node ended cleanly"}),
        ({"accounted": 3}, {"every cloud accounted for", "every frame recorded"}),
    ],
)
def test_what_is_unexplained_fails(changes, failed) -> None:
    run = replayed_bag(cloud(0, boxes((5, 1))), cloud(1, boxes((5, 1))), **changes)
    found = statuses(fate_checks(run))
    assert {name for name, status in found.items() if status is Status.FAILED} == failed


def test_a_bag_without_any_frame_fails() -> None:
    assert Status.FAILED in statuses(fate_checks(replayed_bag(cloud(0, None)))).values()


@pytest.mark.parametrize(("limit_ms", "status"), [(30.0, Status.PASSED), (24.0, Status.FAILED)])
def test_the_budget_is_broken_by_being_late_for_too_long(tmp_path: Path, limit_ms, status) -> None:
    file = tmp_path / "budget.yaml"
    file.write_text(
        f"end_to_end: {{max_allowed_processing_time_ms: {limit_ms}}}\n"
        "max_acceptable_consecutive_delay_ms: 150.0\n"
        "cyclic_time: {max_allowed_processing_time_ms: 1.0}\n"
    )
    run = replayed_bag(*(cloud(index, boxes((5, 1))) for index in range(4)))
    # Offline there is no cycle, or its limit of a millisecond would fail both.
    assert budget_check(run, file).status is status
    assert budget_check(run, None).status is Status.SKIPPED
    assert not budget_check(run, None).required


def truth(*places: tuple[float, float]) -> GroundTruth:
    found = boxes(*places)
    unknown = np.full(len(found), -1, np.int32)
    return GroundTruth(found, unknown, unknown)


def scored_of(run, truths: dict[int, GroundTruth], **changes) -> Scored:
    settings = AccuracySettings(Path("drive.infos.pkl"), **changes)
    paired = accuracy._paired(run.clouds, truths, settings.match_ms)
    frames = tuple(accuracy._scored(run, *pair, DetectionMetricSettings()) for pair in paired)
    return Scored(settings, frames, 0, None, "for a test")


def test_stamps_that_were_rounded_still_match_and_each_cloud_has_one_truth() -> None:
    run = replayed_bag(*(cloud(index, boxes((5, 1))) for index in range(3)))
    stamps = [entry.stamp_ns for entry in run.clouds]
    truths = {stamps[0] + 400: truth((5, 1)), stamps[0] - 900: truth(), stamps[2] + 2 * MS: truth((5, 1))}
    paired = accuracy._paired(run.clouds, truths, 1.0)
    assert [(entry.index, len(found)) for entry, found in paired] == [(0, 1)]
    assert [entry.index for entry, _ in accuracy._paired(run.clouds, truths, 5.0)] == [0, 2]


@given(st.lists(st.integers(-60, 60), min_size=1, max_size=6), st.floats(0, 80))
def test_no_truth_is_given_away_twice(shifts: list[int], match_ms: float) -> None:
    run = replayed_bag(*(cloud(index, boxes((5, 1))) for index in range(4)))
    truths = {
        (START_MS + index * PERIOD_MS + shift) * MS: truth((index, 0)) for index, shift in enumerate(shifts)
    }
    paired = accuracy._paired(run.clouds, truths, match_ms)
    assert len({entry.index for entry, _ in paired}) == len(paired)
    assert len({id(found) for _, found in paired}) == len(paired)


def test_floors_are_judged_and_without_any_nothing_is() -> None:
    assert statuses(accuracy_checks(None)) == {"accuracy": Status.SKIPPED}
    scored = scored_of(replayed_bag(cloud(0, boxes((5, 1)))), {})
    assert statuses(accuracy_checks(scored)) == {"accuracy": Status.FAILED}


def test_the_info_file_beside_the_bag_is_found(tmp_path: Path) -> None:
    bag = tmp_path / "drive"
    bag.mkdir()
    assert ground_truth_file(bag, None) is None
    beside = tmp_path / "drive.infos.pkl"
    beside.touch()
    assert ground_truth_file(bag, None) == ground_truth_file(bag, tmp_path) == beside
    assert ground_truth_file(bag / "drive_0.db3", None) == beside
    with pytest.raises(DatasetError, match="no such ground truth"):
        ground_truth_file(bag, tmp_path / "other.pkl")


def lines_of(tmp_path: Path, run, checks, scored) -> list[dict]:
    write_score_lines(tmp_path / "result.jsonl", run, checks, scored)
    return [json.loads(line) for line in (tmp_path / "result.jsonl").read_text().splitlines()]


def test_result_lines_are_those_of_the_log_replayer(tmp_path: Path) -> None:
    run = replayed_bag(
        cloud(0, boxes((5, 1), (20, 0))), cloud(1, boxes((5, 1))), cloud(2, None), cloud(3, boxes())
    )
    stamps = [entry.stamp_ns for entry in run.clouds]
    truths = {stamps[0]: truth((5, 1), (20, 0)), stamps[1]: truth((40, 0)), stamps[3]: truth()}
    checks = [CheckResult("every cloud accounted for", Status.FAILED, "1 without")]
    condition, header, *frames, last = lines_of(tmp_path, run, checks, scored_of(run, truths))
    assert set(condition) == {"Condition"}
    (criterion,) = condition["Condition"]["Criterion"]
    assert list(criterion) == ["criteria_name", "PassRate", "CriteriaMethod", "CriteriaLevel", "Filter"]
    assert criterion["criteria_name"] in frames[0]["Frame"]
    assert list(criterion["Filter"]) == ["Distance", "Region"]
    assert header["Result"] == {"Success": False, "Summary": "NoData"}
    assert header["Frame"] == {}
    assert all(set(line) == {"Result", "Stamp", "Frame"} for line in (*frames, last))
    assert [line["Stamp"]["ROS"] for line in frames] == [stamp / 1_000_000_000 for stamp in stamps]
    good, missed, dropped, empty = (line["Frame"] for line in frames)
    assert good["criteria0"]["PassFail"] == {
        "Result": {"Total": "Success", "Frame": "Success"},
        "Info": {"TP": "2 [car, car]", "FP": "0 []", "FN": "0 []", "TN": "null"},
    }
    assert missed["criteria0"]["PassFail"]["Result"] == {"Total": "Fail", "Frame": "Fail"}
    info = missed["criteria0"]["PassFail"]["Info"]
    assert info == {"TP": "0 []", "FP": "1 [car]", "FN": "1 [car]", "TN": "null"}
    assert dropped["FrameSkip"] == 1
    assert "malformed" in dropped["Info"]
    assert empty["criteria0"] == {"NoGTNoObj": 1}
    assert [line["Result"]["Summary"] for line in frames] == [
        "Passed: criteria0 (Success): 1 / 1 -> 100.00%",
        *["Failed: criteria0 (Fail): 1 / 2 -> 50.00%"] * 3,
    ]
    assert last["Result"]["Success"] is False
    assert "every cloud accounted for" in last["Result"]["Summary"]


def test_the_last_line_is_the_verdict_without_ground_truth_too(tmp_path: Path) -> None:
    run = replayed_bag(cloud(0, boxes((5, 1))))
    checks = [CheckResult("determinism", Status.PASSED, "1 of 1")]
    *_, last = lines_of(tmp_path, run, checks, None)
    assert last["Result"]["Success"] is True
    assert last["Frame"]["Checks"]["determinism"]["Result"] == "passed"


def test_without_ground_truth_the_lines_tell_whether_clouds_are_accounted_for(tmp_path: Path) -> None:
    run = replayed_bag(cloud(0, boxes((5, 1))), cloud(1, None), cloud(2, None, fate=UNEXPLAINED))
    condition, _, *frames, _ = lines_of(tmp_path, run, [], None)
    assert condition == {"Condition": {"Criterion": []}}
    assert [line["Result"]["Success"] for line in frames] == [True, True, False]
    assert frames[1]["Result"]["Summary"] == "Passed: 2 of 2 clouds accounted for"


def test_the_score_of_the_last_line_has_every_class_in_every_table() -> None:
    figures = {
        "recall/all": 0.75,
        "recall/CAR": 0.75,
        "precision/CAR": 0.5,
        "mean_ap": 0.25,
        "ap/CAR": 0.25,
    }
    assert score_lines._score(figures, CLASSES) == {
        "TP": {"ALL": 0.75, "car": 0.75, "pedestrian": 0.0},
        "FP": {"ALL": 0.0, "car": 0.5, "pedestrian": 0.0},
        "FN": {"ALL": 0.25, "car": 0.25, "pedestrian": 0.0},
        "TN": {"ALL": 0.0, "car": 0.0, "pedestrian": 0.0},
        "AP(Center Distance)": {"ALL": 0.25, "car": 0.25, "pedestrian": None},
    }


def test_the_tool_that_plots_the_lines_takes_frames_and_verdict(tmp_path: Path) -> None:
    run = replayed_bag(cloud(0, boxes((5, 1))), cloud(1, boxes((5, 1))))
    checks = [CheckResult("determinism", Status.PASSED, "2 of 2")]
    lines = lines_of(tmp_path, run, checks, None)
    # Its rule: exactly these keys, and a ROS stamp; everything else is passed over.
    plotted = [
        line for line in lines if set(line) == {"Result", "Stamp", "Frame"} and "ROS" in line["Stamp"]
    ]
    assert plotted == lines[2:]
    stamps = [line["Stamp"]["ROS"] for line in plotted]
    assert stamps == sorted(stamps)
    assert all(type(line["Result"]["Success"]) is bool for line in plotted)
    # Others take the text after the last line break but one, so nothing may follow the verdict.
    text = (tmp_path / "result.jsonl").read_text()
    assert text.endswith("}\n")
    assert json.loads(text.splitlines()[-1]) == lines[-1]


@given(st.floats(0.6, 190.0), st.floats(0.6, 190.0))
def test_the_highest_rate_is_bracketed(limit_hz: float, start_hz: float) -> None:
    tried: list[float] = []

    def lossless(rate_hz: float) -> bool:
        tried.append(rate_hz)
        return rate_hz <= limit_hz

    found = find_rate(lossless, start_hz)
    assert found.highest_hz is not None
    assert found.highest_hz <= limit_hz <= found.highest_hz * 1.16
    assert len(tried) == len(found.tried) < 20


def test_a_rate_that_is_never_kept_is_a_failure() -> None:
    found = find_rate(lambda rate_hz: False, 10.0)
    assert found.highest_hz is None
    assert found.check.status is Status.FAILED
    assert find_rate(lambda rate_hz: True, 10.0).highest_hz == 200.0
