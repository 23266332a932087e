"""What a verification found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from awml_deploy_core.config.verification import Precision
from awml_deploy_core.verification.bisect import Bisection
from awml_deploy_core.verification.scenarios import Scenario
from awml_deploy_core.verification.verdict import CheckResult, Status, Verdict


@dataclass(frozen=True)
class ScenarioResult:
    """The checks of one scenario, in the order of samples and data flow."""

    scenario: Scenario
    checks: tuple[CheckResult, ...]
    seconds: float
    precision: Precision | None = None
    """Whose tolerances applied; None if nothing was compared."""
    bisections: tuple[Bisection, ...] = ()
    """One a component that failed alone."""
    level_seconds: Mapping[str, float] = field(default_factory=dict)
    """What every level took over all samples [s]."""

    @property
    def verdict(self) -> Verdict:
        """Verdict of this scenario alone."""
        return Verdict(self.checks)

    @property
    def status(self) -> Status:
        """State of this scenario alone; skipped if nothing of it could run."""
        if self.checks and all(check.status is Status.SKIPPED for check in self.checks):
            return Status.SKIPPED
        return self.verdict.status

    @property
    def first_divergence(self) -> CheckResult | None:
        """The earliest failed check: where the data flow first goes wrong."""
        return next((check for check in self.checks if check.status is Status.FAILED), None)


@dataclass(frozen=True)
class VerificationResult:
    """All scenarios of one verification."""

    scenarios: tuple[ScenarioResult, ...]
    checks: tuple[CheckResult, ...] = ()
    """Those of no scenario: of the bundle, of boxes at known places."""

    @property
    def verdict(self) -> Verdict:
        """One verdict over everything."""
        found = [check for result in self.scenarios for check in result.checks]
        return Verdict((*self.checks, *found))

    def with_checks(self, checks: Sequence[CheckResult]) -> VerificationResult:
        """This result with further checks of no scenario before its own."""
        return replace(self, checks=(*checks, *self.checks))
