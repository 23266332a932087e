from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from report_samples import STATES, check, evaluation

from awml_deploy_core.errors import ConfigError
from awml_deploy_core.reporting import Report, to_junit, write_junit
from awml_deploy_core.reporting.build import error_record
from awml_deploy_core.reporting.verification_result import VerificationRecord
from awml_deploy_core.runner.reports import make_report


def tree(report: Report) -> ET.Element:
    return ET.fromstring(to_junit(report))


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("passes", None),
        ("fails", "failure"),
        ("is required and skipped", "failure"),
        ("is optional and skipped", "skipped"),
        ("breaks", "error"),
    ],
)
def test_every_state_is_right(name: str, tag: str | None) -> None:
    root = tree(evaluation(check("passes"), check(name)))
    cases = root.findall(".//testcase")
    assert [case.get("name") for case in cases] == ["passes", name]
    outcome = [child.tag for child in cases[1] if child.tag != "system-out"]
    assert outcome == ([] if tag is None else [tag])
    assert root.get("tests") == "2"
    counts = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    assert {key: root.get(key) for key in counts} == {
        key: str(int(value == tag)) for key, value in counts.items()
    }


def test_texts_are_what_xml_allows(tmp_path: Path) -> None:
    report = evaluation(*map(check, STATES))
    write_junit(report, tmp_path / "deep" / "report.xml")
    root = ET.parse(tmp_path / "deep" / "report.xml").getroot()
    (failure,) = (case for case in root.iter("testcase") if case.get("name") == "fails")
    assert failure[0].get("message") == '<script>alert("x")</script> & \ufffd </table>'


def test_a_run_without_a_check_is_no_green_run() -> None:
    root = tree(evaluation())
    assert (root.get("tests"), root.get("failures")) == ("1", "1")
    only_skipped = tree(evaluation(check("is optional and skipped")))
    assert (only_skipped.get("failures"), only_skipped.get("skipped")) == ("1", "1")
    nothing = VerificationRecord(
        status="failed", summary="failed: (no check ran)", samples=(), num_samples=0, scenarios=()
    )
    assert tree(make_report("verify", "x", verification=nothing)).get("failures") == "1"


def test_an_error_that_ended_the_command_is_an_error() -> None:
    error = error_record(ConfigError("deploy.yaml", "has 1 problem", problems=["a: is wrong"]))
    root = tree(make_report("run", "x", error=error, exit_code=2))
    assert (root.get("tests"), root.get("errors")) == ("1", "1")
    assert "a: is wrong" in (root.findtext(".//error") or "")
