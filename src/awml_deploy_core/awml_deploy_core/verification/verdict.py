"""Verdicts that cannot lie: passed, failed, skipped with a reason, error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Status(str, Enum):
    """State of one check or of a whole run."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


@dataclass(frozen=True)
class CheckResult:
    """One comparison that was asked for."""

    name: str
    """What was checked: scenario, sample, component, tensor."""
    status: Status
    message: str
    """Figures for passed, the difference for failed, the reason for skipped and error."""
    required: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready figures."""


@dataclass(frozen=True)
class Verdict:
    """All checks of a run."""

    checks: Sequence[CheckResult]

    @property
    def status(self) -> Status:
        """Error before failed before skipped; passed needs at least one check that ran.

        A required check that was skipped fails the run; so does a run without any check.
        """
        states = {check.status for check in self.checks}
        if Status.ERROR in states:
            return Status.ERROR
        if Status.FAILED in states or Status.PASSED not in states:
            return Status.FAILED
        if any(check.required and check.status is Status.SKIPPED for check in self.checks):
            return Status.FAILED
        return Status.PASSED

    def __bool__(self) -> bool:
        return self.status is Status.PASSED

    def counts(self) -> dict[str, int]:
        """Number of checks by state."""
        return {state.value: sum(c.status is state for c in self.checks) for state in Status}

    def summary(self) -> str:
        """One line such as ``failed: 3 passed, 1 failed, 0 skipped, 0 error``."""
        counts = ", ".join(f"{number} {state}" for state, number in self.counts().items())
        reason = "" if self.checks else " (no check ran)"
        return f"{self.status.value}: {counts}{reason}"
