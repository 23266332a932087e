"""Every check of a report, in groups, wherever the result model has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from awml_deploy_core.reporting.records import CheckRecord, StatusText
from awml_deploy_core.reporting.result import Report

_BAD = frozenset({"failed", "error"})
_WORST_FIRST: tuple[StatusText, ...] = ("error", "failed", "passed", "skipped")


@dataclass(frozen=True)
class CheckGroup:
    """The checks of one record, e.g. a scenario or an evaluated backend."""

    section: str
    """Section of the report: ``verification``, ``evaluation``, ..."""
    name: str
    status: StatusText
    seconds: float
    checks: tuple[CheckRecord, ...]

    @property
    def unexplained(self) -> bool:
        """Whether it did not pass although none of its checks says why: nothing of it ran."""
        return self.status in _BAD and not self.states & _BAD

    @property
    def states(self) -> frozenset[str]:
        """The states that its checks give the run."""
        return frozenset(check_state(check) for check in self.checks)


def check_state(check: CheckRecord) -> StatusText:
    """The state that a check gives the run: a required one that was skipped fails it."""
    return "failed" if check.required and check.status == "skipped" else check.status


def check_groups(report: Report) -> tuple[CheckGroup, ...]:
    """Groups in the order of the report; a section whose records have no checks gives one without."""
    found: list[CheckGroup] = []
    for section in type(report).model_fields:
        record = getattr(report, section)
        if isinstance(record, BaseModel) and hasattr(record, "status"):
            groups = list(_groups(record, section))
            found += groups
            explained = any(group.unexplained or group.states & _BAD for group in groups)
            if not groups or (record.status in _BAD and not explained):
                found.append(_group(record, section, ()))
    return tuple(found)


def _groups(record: BaseModel, section: str) -> Iterator[CheckGroup]:
    """The groups of a record and of those inside it, its own last."""
    inside: list[CheckGroup] = []
    for name in type(record).model_fields:
        value = getattr(record, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, BaseModel) and not isinstance(item, CheckRecord):
                inside += _groups(item, section)
    yield from inside
    if not isinstance(listed := getattr(record, "checks", None), tuple):
        return
    checks = tuple(map(_as_check, listed))
    if not inside:
        yield _group(record, section, checks)
    elif checks:
        # The record's own status is that of everything inside it.
        states = {check_state(check) for check in checks}
        worst = next(state for state in _WORST_FIRST if state in states)
        yield replace(_group(record, section, checks), status=worst)


def _as_check(record: Any) -> CheckRecord:
    """A check of any section, with the parts that all have."""
    if isinstance(record, CheckRecord):
        return record
    return CheckRecord(
        name=record.name,
        status=record.status,
        required=getattr(record, "required", True),
        message=record.message,
        details={},
    )


def _group(record: Any, section: str, checks: tuple[CheckRecord, ...]) -> CheckGroup:
    return CheckGroup(
        section,
        str(getattr(record, "name", section)),
        getattr(record, "status", "error"),
        float(getattr(record, "seconds", 0.0)),
        checks,
    )
