"""A replayed bag in every view."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from awml_deploy_core.evaluation.task import AccuracyResult, MetricTable
from awml_deploy_core.reporting import Report, to_html, to_json, to_junit
from awml_deploy_core.reporting.records import CheckRecord
from awml_deploy_core.reporting.result import BoxChangeRecord, LatencyRecord, RegressionRecord, ReplayRecord
from awml_deploy_core.reporting.terminal import print_report
from awml_deploy_core.runner.reports import make_report

BOX = {"class": "CAR<script>", "score": 0.9, "center": [1.0, 2.0, 0.0], "size": [4.0, 2.0, 1.5], "yaw": 0.0}


def replay(**changes: object) -> Report:
    values = {
        "source": "/bags/drive#/points",
        "mode": "offline",
        "backend": "onnxruntime",
        "device": "cpu",
        "rate_hz": 0.0,
        "seconds": 1.0,
        "sent": 10,
        "sent_bytes": 1_000_000,
        "late": 0,
        "received": 10,
        "processed": 9,
        "dropped": {"malformed": 1},
        "detections_by_class": {"CAR": 5},
        "latencies": (latency("end_to_end"),),
        "node_memory_mb": (),
        "output_bag": "/out",
        "pictures": (),
        "logs": (),
        "status": "failed",
        "checks": (check("regression", "failed", "1 gone"), check("determinism", "passed", "9 of 9")),
        **changes,
    }
    return make_report("replay", "drive", replay=ReplayRecord(**values), exit_code=1)  # type: ignore[arg-type]


def check(name: str, status: str, message: str) -> CheckRecord:
    return CheckRecord(name=name, status=status, required=True, message=message, details={})  # type: ignore[arg-type]


def latency(stage: str) -> LatencyRecord:
    return LatencyRecord(stage=stage, clock="cpu", frames=9, p50=1.0, p95=2.0, p99=3.0, max=4.0)


REGRESSION = RegressionRecord(
    baseline="/before",
    same_model=True,
    compared=9,
    identical=8,
    matched=40,
    worst={},
    changes=(BoxChangeRecord(sample="000001_1", kind="gone", box=BOX, detail="the other side has no box"),),
    fates=("000002_2 was processed and is malformed",),
    other_input=(),
)


def printed(report: Report) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=200))
    return stream.getvalue()


def test_the_page_says_what_changed() -> None:
    page = to_html(replay(regression=REGRESSION, digest="ab" * 32, notes=("a <note>",)))
    for words in ("10 clouds of /bags/drive#/points read", "malformed 1", "1 gone", "ab" * 32):
        assert words in page
    assert "000002_2 was processed" in page
    assert "CAR&lt;script&gt;" in page
    assert "<script>" not in page
    assert "a <note>" not in page


@pytest.mark.parametrize(("mode", "words"), [("offline", "10 clouds read"), ("live", "sent at 5 Hz")])
def test_the_terminal_says_how_the_bag_was_replayed(mode: str, words: str) -> None:
    transport = (latency("transport"),) if mode == "live" else ()
    text = printed(replay(mode=mode, rate_hz=5.0, transport=transport, notes=("look here",)))
    assert words in text
    assert "look here" in text
    assert ("transport" in text) == (mode == "live")


def test_accuracy_is_shown_with_its_tables() -> None:
    table = MetricTable(title="by class", columns=("class", "AP"), rows=(("CAR", 0.75),))
    accuracy = AccuracyResult(
        task="detection3d", num_frames=9, headline="mAP 0.750", figures={"mean_ap": 0.75}, tables=(table,)
    )
    report = replay(accuracy=accuracy)
    page = to_html(report)
    assert "mAP 0.750" in page
    assert "0.750</td>" in page
    assert "mAP 0.750" in printed(report)


def test_every_check_is_a_test_case() -> None:
    junit = to_junit(replay()).decode()
    assert 'tests="2"' in junit
    assert 'failures="1"' in junit


def test_the_report_can_be_read_back() -> None:
    report = replay(regression=REGRESSION)
    assert Report.model_validate_json(to_json(report)) == report
