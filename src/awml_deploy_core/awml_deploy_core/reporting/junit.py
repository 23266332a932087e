"""Checks as JUnit XML, which CI servers show.

One test suite a group of checks, one test case a check. A required check that was skipped is a failure,
as it fails the run; an optional one is skipped. Form: the schema of Jenkins' xUnit plugin (junit-10.xsd).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from awml_deploy_core.files import io_errors, write_bytes
from awml_deploy_core.reporting.checks import CheckGroup, check_groups, check_state
from awml_deploy_core.reporting.records import CheckRecord
from awml_deploy_core.reporting.result import ErrorRecord, Report

# What XML 1.0 does not allow in text, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(report: Report) -> bytes:
    """The checks of a report as a UTF-8 XML document."""
    root = ET.Element("testsuites", name=_clean(f"awml-deploy {report.command} {report.name}"))
    for group in check_groups(report):
        root.append(_suite(group, report))
    if report.error is not None:
        root.append(_error_suite(report.error, report))
    return suites_document(root, report.seconds)


def suites_document(root: ET.Element, seconds: float) -> bytes:
    """Test suites as a UTF-8 XML document, with their sums.

    Args:
        root: ``testsuites`` with all suites; gets the sums.
        seconds: What all of them took.
    """
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("time", f"{seconds:.3f}")
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def write_junit(report: Report, path: Path) -> None:
    """Write :func:`to_junit`; the file appears whole or not at all.

    Raises:
        ArtifactError: The file cannot be written.
    """
    with io_errors(path, "cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, to_junit(report))


def _suite(group: CheckGroup, report: Report) -> ET.Element:
    class_name = f"{report.name}.{group.section}.{group.name}"
    cases = [_case(check, class_name) for check in group.checks]
    if group.unexplained:
        verdict = ET.Element("testcase", name="verdict", classname=_clean(class_name))
        message = "no check ran" if not group.checks else "no check ran to an end"
        tag = "error" if group.status == "error" else "failure"
        ET.SubElement(verdict, tag, type=group.status, message=message)
        cases.append(verdict)
    return _with_counts(f"{group.section}: {group.name}", cases, group.seconds, report)


def _case(check: CheckRecord, class_name: str) -> ET.Element:
    case = ET.Element("testcase", name=_clean(check.name), classname=_clean(class_name))
    message, state = _clean(check.message), check_state(check)
    if state == "skipped":
        ET.SubElement(case, "skipped", message=message)
    elif state == "error":
        ET.SubElement(case, "error", type="error", message=message).text = message
    elif state == "failed":
        kind = "required check was skipped" if check.status == "skipped" else "failed"
        ET.SubElement(case, "failure", type=kind, message=message).text = message
    elif message:
        ET.SubElement(case, "system-out").text = message
    return case


def _error_suite(error: ErrorRecord, report: Report) -> ET.Element:
    case = ET.Element("testcase", name=report.command, classname=_clean(f"{report.name}.{report.command}"))
    message = _clean(f"{error.subject}: {error.problem}")
    ET.SubElement(case, "error", type=error.type, message=message).text = "\n".join(
        [message, *map(_clean, error.problems)]
    )
    return _with_counts(report.command, [case], report.seconds, report)


def _with_counts(name: str, cases: list[ET.Element], seconds: float, report: Report) -> ET.Element:
    def count(tag: str) -> str:
        return str(sum(case.find(tag) is not None for case in cases))

    suite = ET.Element("testsuite", name=_clean(name), tests=str(len(cases)))
    suite.set("failures", count("failure"))
    suite.set("errors", count("error"))
    suite.set("skipped", count("skipped"))
    suite.set("time", f"{seconds:.3f}")
    suite.set("timestamp", report.created.partition("+")[0])
    suite.extend(cases)
    return suite


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
