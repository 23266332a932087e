from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_samples import HOSTILE, STATES, check, evaluation

from awml_deploy_core.errors import ConfigError
from awml_deploy_core.evaluation import Counts, PrecisionRecall
from awml_deploy_core.reporting import Report, to_html, to_json, write_html
from awml_deploy_core.reporting.build import error_record
from awml_deploy_core.reporting.result import AccuracyRecord, InferenceRecord, LatencyRecord
from awml_deploy_core.reporting.verification_result import (
    ScenarioRecord,
    TensorRecord,
    VerificationRecord,
)
from awml_deploy_core.runner.reports import make_report

VOID = {"meta", "img", "br", "rect", "line"}
PNG = b"\x89PNG\r\n\x1a\n"


class Page(HTMLParser):
    """Refuses tags that are not closed in order and whatever leads out of the page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.images: list[str] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag not in {"script", "link", "iframe", "object"}
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name in {"src", "href"}:
                assert (value or "").startswith("data:"), value
                self.images.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_the_page_is_well_formed_and_takes_nothing_from_elsewhere(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(PNG)
    content = to_html(evaluation(*map(check, STATES), picture=str(picture)))
    page = Page(content)
    assert "alert" in page.text
    assert "\x00" not in content
    assert not re.search(r"https?://(?!www\.w3\.org)|@import|url\(", content)
    assert page.images == ["data:image/png;base64,iVBORw0KGgo="]
    assert page.tags.count("svg") == 2


def test_the_verdict_comes_first_and_every_check_that_did_not_pass_is_there() -> None:
    page = Page(to_html(evaluation(*map(check, STATES))))
    assert page.text.index("A check could not be completed") < page.text.index("Evaluation")
    for name in STATES:
        assert name in page.text
    assert "skipped (required)" in page.text.replace("skipped  (required)", "skipped (required)")
    assert "mAP 1.000" in page.text
    assert "by range" in page.text


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        (["passes"], "passed"),
        (["passes", "fails"], "failed"),
        (["passes", "is required and skipped"], "failed"),
        (["breaks"], "error"),
        ([], "failed"),
    ],
)
def test_the_heading_says_what_the_exit_code_says(states: list[str], verdict: str) -> None:
    assert f'<header class="verdict {verdict}">' in to_html(evaluation(*map(check, states)))


def test_what_was_not_measured_says_why() -> None:
    missing = {"accuracy": None, "accuracy_missing": "no labels", "latency": None, "latency_missing": "off"}
    text = Page(to_html(evaluation(check("passes"), **missing))).text
    assert "Accuracy was not measured: no labels" in text
    assert "Latency was not measured: off" in text


def test_a_lost_picture_is_told() -> None:
    assert "no picture: No such file" in to_html(evaluation(check("passes"), picture="/none/a.png"))


def test_the_page_can_be_made_from_the_json_result() -> None:
    report = evaluation(*map(check, STATES))
    assert to_html(Report.model_validate_json(to_json(report))) == to_html(report)


def test_the_browser_is_told_to_load_nothing() -> None:
    page = to_html(evaluation(check("passes")))
    assert "Content-Security-Policy" in page.partition("<style>")[0]
    assert "default-src 'none'" in page


def test_the_verdict_names_the_first_cause_of_each_group() -> None:
    verdict = to_html(evaluation(*map(check, STATES))).partition("</header>")[0]
    assert "<strong>fails</strong>" in verdict
    assert "<strong>passes</strong>" not in verdict
    assert "<strong>" not in to_html(evaluation(check("passes"))).partition("</header>")[0]


@pytest.mark.parametrize(
    ("states", "meaning"),
    [
        (["passes"], "Every check passed."),
        (
            ["passes", "is optional and skipped"],
            "Every check that ran passed; 1 optional check was skipped",
        ),
    ],
)
def test_a_skipped_check_is_not_called_passed(states: list[str], meaning: str) -> None:
    assert meaning in to_html(evaluation(*map(check, states)))


def test_an_error_says_what_was_found_and_what_to_do() -> None:
    error = ConfigError(
        "a.bag", "cannot be read", got="half a file", expected="a whole one", hint="Copy it."
    )
    page = to_html(make_report("replay", "x", error=error_record(error), exit_code=2))
    for words in (
        "a.bag: cannot be read; got half a file; expected a whole one",
        "Copy it.",
        "awml-replay, ",
    ):
        assert words in page


def test_what_is_inside_a_fact_has_rows_of_its_own() -> None:
    facts = {"checkpoint": {"sha256": "ab", "epoch": None}, "classes": ["CAR", "BUS"], "files": []}
    page = to_html(make_report("inspect", "x", facts=facts))
    text = Page(page).text
    assert "checkpoint: sha256 ab" in text
    assert "CAR, BUS" in text
    assert "epoch" not in text
    assert "files" not in text


def test_accuracy_is_on_the_page() -> None:
    counts = Counts(true_positives=3, false_positives=1, false_negatives=2, precision=0.75, recall=0.6)
    matched = PrecisionRecall(
        max_distance=2.0, min_score=0.0, by_class=True, num_frames=1, total=counts, classes={"CAR": counts}
    )
    record = AccuracyRecord(max_range=50.0, min_points=5, matched=matched, status="passed", checks=())
    page = to_html(make_report("demo", "x", accuracy=record))
    assert "<td>CAR</td><td>5</td><td>4</td><td>3</td><td>0.750</td><td>0.600</td>" in page


def test_other_sections_and_errors(tmp_path: Path) -> None:
    tensor = TensorRecord(
        component="head", tensor=HOSTILE, level="pipeline", status="failed", checks=2, relative=0.5
    )
    scenario = ScenarioRecord(
        name="a vs b",
        reference="a",
        test="b",
        required=True,
        status="failed",
        seconds=1.0,
        counts={},
        boxes_matched=3,
        boxes_unmatched=1,
        first_divergence="head.heatmap",
        tensors=(tensor,),
        checks=(),
    )
    verification = VerificationRecord(
        status="failed", summary="failed: x", samples=("s",), num_samples=1, scenarios=(scenario,)
    )
    latency = LatencyRecord(stage="encode", clock="cpu", frames=1, p50=1.0, p95=1.0, p99=1.0, max=1.0)
    inference = InferenceRecord(
        source="bag",
        backend="onnxruntime",
        device="cpu",
        min_score=0.0,
        detections_by_class={"CAR": 2},
        latencies=(latency,),
        frames=(),
    )
    report = make_report("run", "x", verification=verification, inference=inference, exit_code=1)
    write_html(report, tmp_path / "deep" / "page.html")
    text = Page((tmp_path / "deep" / "page.html").read_text()).text
    assert "First divergence: head.heatmap" in text
    assert "CAR 2" in text
    error = error_record(ConfigError("deploy.yaml", "has 1 problem", problems=["a: is wrong"]))
    failed = to_html(make_report("run", "x", error=error, exit_code=2, provenance={"family": HOSTILE}))
    assert "a: is wrong" in Page(failed).text
