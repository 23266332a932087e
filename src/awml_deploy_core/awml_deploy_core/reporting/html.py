"""A report as one self-contained HTML page: no network, no script, everything escaped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import io_errors, write_text
from awml_deploy_core.reporting.checks import check_groups
from awml_deploy_core.reporting.html_checks import first_causes, groups_table
from awml_deploy_core.reporting.html_evaluation import evaluation_section
from awml_deploy_core.reporting.html_parts import (
    badge,
    facts_table,
    html_table,
    page,
    paragraph,
    section,
    text,
)
from awml_deploy_core.reporting.html_replay import replay_section
from awml_deploy_core.reporting.html_sections import (
    accuracy_section,
    inference_section,
    verification_section,
)
from awml_deploy_core.reporting.precision_views import precision_section
from awml_deploy_core.reporting.result import Report

_VERDICTS = {
    ExitCode.PASSED: ("passed", "Every check passed."),
    ExitCode.FAILED: ("failed", "A check failed, or a required one did not run."),
    ExitCode.BAD_INPUT: ("error", "The input or the machine did not allow what was asked for."),
    ExitCode.ERROR: ("error", "A check could not be completed."),
}

_PROGRAMS = {"replay": "awml-replay", "demo": "make demo"}
"""Commands that are not of ``awml-deploy``."""


def to_html(report: Report) -> str:
    """The page. Pictures are read from the files that the report names."""
    return page(f"{report.name}: {report.command}", "".join(_sections(report)))


def write_html(report: Report, path: Path) -> None:
    """Write :func:`to_html`; the file appears whole or not at all.

    Raises:
        ArtifactError: The file cannot be written.
    """
    with io_errors(path, "cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, to_html(report))


def _sections(report: Report) -> Iterator[str]:
    yield _verdict(report)
    if report.verification is not None:
        yield verification_section(report.verification)
    if report.evaluation is not None:
        yield evaluation_section(report.evaluation)
    if report.precision is not None:
        yield precision_section(report.precision)
    if report.inference is not None:
        yield inference_section(report.inference)
    if report.replay is not None:
        yield replay_section(report.replay)
    if report.accuracy is not None:
        yield accuracy_section(report.accuracy)
    if report.export is not None:
        rows = [
            (
                text(part.component),
                text(part.file),
                f"{part.size_bytes / 1e3:.0f} kB",
                f"{part.seconds:.1f} s",
            )
            for part in report.export
        ]
        yield section(
            "Export", [html_table(("component", "file", "size", "time"), rows, name_columns=(1,))]
        )
    if report.engines is not None:
        yield section("Engines", [facts_table(engine.model_dump(mode="json")) for engine in report.engines])
    if report.facts is not None:
        yield section("Facts", [facts_table(report.facts)])
    yield _provenance(report)


def _verdict(report: Report) -> str:
    status, meaning = _VERDICTS.get(ExitCode(report.exit_code), ("error", ""))
    groups = check_groups(report)
    if not groups and status == "passed":
        meaning = "Nothing was checked: this command does not check."
    skipped = sum(check.status == "skipped" for group in groups for check in group.checks)
    if status == "passed" and skipped:
        words = "check was" if skipped == 1 else "checks were"
        meaning = f"Every check that ran passed; {skipped} optional {words} skipped, with the reason below."
    parts = [
        f'<header class="verdict {status}"><h1>{badge(status)} {text(report.name)}</h1>',
        paragraph(meaning),
        paragraph(
            f"{_PROGRAMS.get(report.command, f'awml-deploy {report.command}')}, {report.created}, "
            f"{report.seconds:.1f} s",
            "faint",
        ),
    ]
    if (error := report.error) is not None:
        known = {"got": error.got, "expected": error.expected}
        clauses = [f"{name} {value}" for name, value in known.items() if value]
        parts.append(paragraph("; ".join([f"{error.subject}: {error.problem}", *clauses])))
        parts += [paragraph(line) for line in (*error.problems, error.hint) if line]
    if groups:
        parts += [first_causes(groups), groups_table(groups)]
    return "".join(parts) + "</header>"


def _provenance(report: Report) -> str:
    facts = {
        "bundle": report.bundle,
        "tool": report.tool_version,
        "python": report.machine.python,
        "platform": report.machine.platform,
        "packages": ", ".join(f"{name} {version}" for name, version in report.machine.packages.items()),
        "exit code": str(report.exit_code),
        "schema": str(report.schema_version),
    }
    parts = [facts_table(facts)]
    if report.provenance is not None:
        parts += ["<h3>Bundle</h3>", facts_table(report.provenance)]
    return section("Provenance", parts)
