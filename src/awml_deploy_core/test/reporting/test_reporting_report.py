from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ArtifactError, ConfigError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.pipeline import StageLatencies, StageLatency
from awml_deploy_core.reporting import Report, to_json, write_json
from awml_deploy_core.reporting.build import error_record, exit_code, latency_records
from awml_deploy_core.reporting.terminal import print_report
from awml_deploy_core.reporting.verification_build import verification_record
from awml_deploy_core.runner.reports import make_report
from awml_deploy_core.verification import (
    Bisection,
    CheckResult,
    Endpoint,
    Scenario,
    ScenarioResult,
    Status,
    VerificationResult,
)


def tensor_check(sample: str, status: Status, relative: float, level: str = "chain") -> CheckResult:
    details = {
        "scenario": "s",
        "sample": sample,
        "level": level,
        "component": "head",
        "tensor": "heatmap",
        "relative": relative,
        "max_abs": relative * 2,
    }
    return CheckResult(f"s / {sample} / head.heatmap", status, f"relative {relative}", True, details)


def output_check(matched: int, lone: int) -> CheckResult:
    details: dict[str, Any] = {
        "scenario": "s",
        "sample": "a",
        "component": "output",
        "tensor": "",
        "matched": matched,
        "only_in_reference": [{}] * lone,
        "only_in_test": [],
    }
    return CheckResult("s / a / output", Status.PASSED, "", True, details)


def result(*checks: CheckResult, name: str = "s", required: bool = True) -> VerificationResult:
    scenario = Scenario(name, Endpoint("pytorch", CPU), Endpoint("onnxruntime", CPU), required)
    return VerificationResult((ScenarioResult(scenario, tuple(checks), 1.5),))


def report(*checks: CheckResult) -> Report:
    record = verification_record(result(*checks), ["clouds"], 2)
    return make_report("verify", "demo", verification=record, exit_code=exit_code(Status(record.status)))


def shown(content: Report) -> str:
    stream = io.StringIO()
    print_report(content, Console(file=stream, width=80))
    return stream.getvalue()


def test_the_worst_of_all_samples_is_shown() -> None:
    content = report(
        tensor_check("a", Status.PASSED, 1e-6),
        tensor_check("b", Status.FAILED, 3e-3),
        tensor_check("b", Status.PASSED, 2e-6, "component"),
        output_check(5, 1),
    )
    (scenario,) = content.verification.scenarios  # type: ignore[union-attr]
    assert scenario.first_divergence == "s / b / head.heatmap"
    assert [(t.level, t.relative, t.status) for t in scenario.tensors] == [
        ("chain", 3e-3, "failed"),
        ("component", 2e-6, "passed"),
    ]
    text = shown(content)
    for part in (
        "3.00e-03",
        "2.00e-06",
        "5 matched one to one, 1 without a partner",
        "first divergence: s / b",
    ):
        assert part in text
    assert content.exit_code == ExitCode.FAILED


def test_boxes_that_are_not_matched_are_shown_with_their_frame_and_reason() -> None:
    box = {"class": "CAR", "score": 0.8, "center": [1.0, 2.0, 3.0]}
    lone = {**box, "nearest": {"distance": 0.8}, "why": "it is 0.80 m away", "decision": None}
    tied = {**box, "side": "test", "nearest": None, "why": "", "decision": "its score ties"}
    details = {**output_check(5, 0).details, "only_in_reference": [lone], "borderline": [tied]}
    details["worst"] = {"position": 0.002}
    content = report(CheckResult("s / a / output", Status.FAILED, "1 has no partner", True, details))
    boxes = content.verification.scenarios[0].boxes  # type: ignore[union-attr]
    assert boxes is not None
    assert (boxes.matched, boxes.unmatched, boxes.borderline) == (5, 1, 1)
    assert boxes.coverage == pytest.approx(5 / 6)
    assert [(item.sample, item.side, item.borderline) for item in boxes.evidence] == [
        ("a", "reference", False),
        ("a", "test", True),
    ]
    text = " ".join(shown(content).split())
    for part in (
        "5 matched one to one, 1 without a partner, 1 borderline, coverage 83.3%",
        "unmatched in a: CAR 0.8000 at (1.00, 2.00, 3.00) of the reference only: it is 0.80 m away",
        "borderline in a: CAR 0.8000 at (1.00, 2.00, 3.00) of the test only: its score ties",
        "position 2.0e-03 m",
    ):
        assert part in text


def test_a_bisection_and_the_cost_of_every_level_are_shown() -> None:
    found = Bisection("head", "its graph exported again", 3, None, ("conv.weight",))
    scenario = result(tensor_check("a", Status.FAILED, 1.0)).scenarios[0]
    scenario = replace(scenario, bisections=(found,), level_seconds={"inference": 3.0, "bisect": 8.0})
    record = verification_record(VerificationResult((scenario,)), ["clouds"], 2)
    (kept,) = record.scenarios
    assert kept.level_seconds == {"inference": 1.5, "bisect": 8.0}
    text = shown(make_report("verify", "demo", verification=record))
    assert "bisect: head against its graph exported again: changed weights: conv.weight" in text
    assert "inference 1.50, bisect 8.00 in all" in text


def test_checks_of_no_scenario_are_shown_and_count() -> None:
    checks = (
        CheckResult("probe / boxes", Status.PASSED, "", details={"level": "probe"}),
        CheckResult("bundle / checkpoint", Status.FAILED, "another one", details={"level": "bundle"}),
    )
    passed = result(tensor_check("a", Status.PASSED, 0.0)).with_checks(checks)
    record = verification_record(passed, ["clouds"], 2, 0.5)
    assert record.status == "failed"
    text = shown(make_report("verify", "demo", verification=record))
    assert "0 checks of the bundle and 1 probes of known boxes (0.5 s): passed" in text
    assert "failed: bundle / checkpoint: another one" in text


def test_scenario_of_which_nothing_ran_is_skipped_not_failed() -> None:
    skipped = CheckResult("s", Status.SKIPPED, "is not installed", False, {"scenario": "s"})
    content = report(skipped)
    assert content.verification.scenarios[0].status == "skipped"  # type: ignore[union-attr]
    assert content.verification.status == "failed"  # type: ignore[union-attr]
    assert "skipped: s: is not installed" in shown(content)


def test_names_with_brackets_are_shown_as_they_are() -> None:
    assert "shape [1, 2]" in shown(report(CheckResult("s", Status.FAILED, "shape [1, 2]", True, {})))


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.PASSED, 0), (Status.FAILED, 1), (Status.SKIPPED, 1), (Status.ERROR, 3)],
)
def test_exit_codes(status: Status, code: int) -> None:
    assert exit_code(status) == code


def test_json_round_trips_and_has_no_bare_nan(tmp_path: Path) -> None:
    content = report(tensor_check("a", Status.FAILED, math.nan), tensor_check("b", Status.FAILED, math.inf))
    path = tmp_path / "deep" / "report.json"
    write_json(content, path)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    parsed = json.loads(path.read_text(), parse_constant=refuse)
    assert parsed["schema_version"] == 1
    assert parsed["verification"]["scenarios"][0]["checks"][0]["details"]["relative"] == "NaN"
    assert Report.model_validate_json(path.read_text()).verification.num_samples == 2  # type: ignore[union-attr]
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]


def test_unwritable_report_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError):
        write_json(report(), tmp_path / "file" / "report.json")


def test_latency_percentiles_by_stage_and_total() -> None:
    frames = [
        StageLatencies((StageLatency("a", float(i)), StageLatency("b", 1.0, "cuda"))) for i in range(101)
    ]
    a, b, total = latency_records(frames)
    assert (a.stage, a.p50, a.p95, a.p99, a.max, a.frames) == ("a", 50, 95, 99, 100, 101)
    assert (b.clock, b.p50) == ("cuda", 1)
    assert (total.stage, total.max) == ("total", 101)
    assert latency_records([]) == ()


def test_the_end_to_end_latency_takes_the_place_of_the_sum() -> None:
    frames = [StageLatencies((StageLatency("a", 1.0),))] * 3
    a, end_to_end = latency_records(frames, [2.0, 3.0, 4.0])
    assert (a.stage, end_to_end.stage, end_to_end.p50, end_to_end.max) == ("a", "end_to_end", 3.0, 4.0)


def test_errors_keep_all_their_parts() -> None:
    error = ConfigError("deploy.yaml", "has 2 problems", problems=("a", "b"), hint="fix them", got=3)
    record = error_record(error)
    assert (record.type, record.got, record.problems, record.hint) == (
        "ConfigError",
        "3",
        ("a", "b"),
        "fix them",
    )
    assert json.loads(to_json(make_report("run", "x", error=record)))["error"]["subject"] == "deploy.yaml"
