"""Checks on the HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from awml_deploy_core.reporting.checks import CheckGroup, check_state
from awml_deploy_core.reporting.html_parts import badge, details, html_table, listing, paragraph, text
from awml_deploy_core.reporting.records import CheckRecord

_MOST_CAUSES = 100
_FEW = 8
_FIRST = 4
_LONGEST = 400
"""Characters of a finding in the verdict; the whole text is below."""


def groups_table(groups: Sequence[CheckGroup]) -> str:
    """One row a group: what the verdict is made of."""
    found = {check.status for group in groups for check in group.checks}
    states = [state for state in ("passed", "failed", "skipped", "error") if state in found]
    rows = [
        (
            text(group.section if group.name == group.section else f"{group.section}: {group.name}"),
            badge(group.status),
            *(text(sum(check.status == state for check in group.checks)) for state in states),
        )
        for group in groups
    ]
    return html_table(("what", "verdict", *states), rows, text_columns=(0,))


def first_causes(groups: Sequence[CheckGroup]) -> str:
    """What a verdict other than *passed* follows from: the first check of every group that says why."""
    bad = [
        next(check for check in group.checks if check_state(check) in ("failed", "error"))
        for group in groups
        if group.states & {"failed", "error"}
    ]
    if not bad:
        return ""
    shown = [
        f"{_state(check)} <strong>{text(check.name)}</strong>: {text(_shortened(check.message))}"
        for check in bad[:_FIRST]
    ]
    return listing(shown)


def _shortened(message: str) -> str:
    message = message.partition("\n")[0]
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]} ..."


def checks_table(checks: Sequence[CheckRecord]) -> str:
    """The first checks that did not pass; others, and those that did, are folded away if there are many."""
    causes = sorted(
        (check for check in checks if check.status != "passed"),
        key=lambda check: check_state(check) not in ("failed", "error"),
    )
    passed = [check for check in checks if check.status == "passed"]
    are_few = len(passed) <= _FEW
    shown = [*causes[:_FEW], *(passed if are_few else [])]
    parts = [_rows(shown)] if shown else []
    if others := causes[_FEW:_MOST_CAUSES]:
        parts.append(details(f"{len(others)} more checks did not pass", _rows(others)))
    if len(causes) > _MOST_CAUSES:
        parts.append(paragraph(f"and {len(causes) - _MOST_CAUSES} more, see the JSON report", "note"))
    if not are_few:
        parts.append(details(f"{len(passed)} checks passed", _rows(passed)))
    return "".join(parts)


def _rows(checks: Sequence[CheckRecord]) -> str:
    rows = [(text(check.name), _state(check), text(check.message)) for check in checks]
    return html_table(("check", "", "finding"), rows, text_columns=(0, 2))


def _state(check: CheckRecord) -> str:
    shown = badge(check.status)
    return f"{shown} (required)" if check_state(check) != check.status else shown
