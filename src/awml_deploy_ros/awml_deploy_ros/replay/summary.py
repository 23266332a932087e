"""One page, one JSON file and one JUnit file over the results of many bags."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import write_bytes, write_text
from awml_deploy_core.reporting import Report
from awml_deploy_core.reporting.checks import check_state
from awml_deploy_core.reporting.html_parts import badge, html_table, page, paragraph, section, text
from awml_deploy_core.reporting.junit import suites_document, to_junit
from awml_deploy_ros.replay.batch import BagResult
from awml_deploy_ros.replay.execute import PAGE

SUMMARY, SUMMARY_PAGE, SUMMARY_JUNIT = "summary.json", "summary.html", "junit.xml"
_STATUS = {
    ExitCode.PASSED: "passed",
    ExitCode.FAILED: "failed",
    ExitCode.BAD_INPUT: "error",
    ExitCode.ERROR: "error",
}


def status_of(report: Report) -> str:
    """``passed``, ``failed`` or ``error``."""
    return _STATUS.get(ExitCode(report.exit_code), "error")


def exit_code_of(results: Sequence[BagResult]) -> ExitCode:
    """The worst of all bags; without any, nothing was checked."""
    return ExitCode(max((result.report.exit_code for result in results), default=ExitCode.FAILED))


def finding(report: Report) -> str:
    """In one line what is wrong, or what was found."""
    if report.error is not None:
        error = report.error
        reason = f", {error.got}" if error.got else ""
        return f"{error.type}: {error.subject}: {error.problem}{reason}"
    replay = report.replay
    if replay is None:
        return "no result"
    bad = [check for check in replay.checks if check_state(check) in ("failed", "error")]
    if bad:
        return "; ".join(f"{check.name}: {check.message.partition(chr(10))[0]}" for check in bad)
    boxes = sum(replay.detections_by_class.values())
    return f"{replay.processed} of {replay.sent} clouds, {boxes} boxes"


def summary(results: Sequence[BagResult], report: Path) -> dict[str, Any]:
    """JSON-ready."""
    counts = Counter(status_of(result.report) for result in results)
    return {
        "status": _STATUS.get(exit_code_of(results), "error"),
        "exit_code": int(exit_code_of(results)),
        "counts": {status: counts[status] for status in ("passed", "failed", "error")},
        "bags": [
            {
                "bag": result.request.bag,
                "folder": str(result.request.folder.relative_to(report)),
                "status": status_of(result.report),
                "exit_code": result.report.exit_code,
                "finding": finding(result.report),
                "seconds": result.report.seconds,
                "attempts": result.attempts,
                "digest": result.report.replay.digest if result.report.replay else None,
                "checks": {
                    check.name: check.status
                    for check in (result.report.replay.checks if result.report.replay else ())
                },
            }
            for result in results
        ],
    }


def write_summary(results: Sequence[BagResult], report: Path) -> None:
    """Write all three files.

    Raises:
        ArtifactError: They cannot be written.
    """
    content = summary(results, report)
    write_text(report / SUMMARY, json.dumps(content, indent=2) + "\n")
    write_text(report / SUMMARY_PAGE, _page(results, report, content))
    write_bytes(report / SUMMARY_JUNIT, _junit(results))


def _page(results: Sequence[BagResult], report: Path, content: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in content["counts"].items())
    rows = [
        (
            _link(result, report),
            badge(status_of(result.report)),
            f'<span class="wrap">{text(finding(result.report))}</span>',
            *_figures(result.report),
            text(result.attempts),
        )
        for result in results
    ]
    columns = (
        *("bag", "verdict", "finding", "clouds", "processed", "dropped", "boxes"),
        *("p50 [ms]", "p99 [ms]", "attempts"),
    )
    parts = [html_table(columns, rows, text_columns=(0, 2))]
    body = (
        f'<header class="verdict {content["status"]}"><h1>{badge(content["status"])} '
        f"replay of {len(results)} bags</h1>{paragraph(counts)}</header>{section('Bags', parts)}"
    )
    return page(f"replay of {len(results)} bags", body)


def _link(result: BagResult, report: Path) -> str:
    target = (result.request.folder / PAGE).relative_to(report).as_posix()
    return f'<a class="wrap" href="{escape(target)}">{text(result.request.folder.name)}</a>'


def _figures(report: Report) -> tuple[str, ...]:
    replay = report.replay
    if replay is None:
        return ("-",) * 6
    end_to_end = next((record for record in replay.latencies if record.stage == "end_to_end"), None)
    latency = ("-", "-") if end_to_end is None else (f"{end_to_end.p50:.1f}", f"{end_to_end.p99:.1f}")
    return (
        str(replay.sent),
        str(replay.processed),
        str(sum(replay.dropped.values())),
        str(sum(replay.detections_by_class.values())),
        *latency,
    )


def _junit(results: Sequence[BagResult]) -> bytes:
    root = ET.Element("testsuites", name="awml-replay")
    for result in results:
        for suite in ET.fromstring(to_junit(result.report)):
            suite.set("name", f"{result.request.folder.name}: {suite.get('name')}")
            root.append(suite)
    return suites_document(root, sum(result.report.seconds for result in results))
