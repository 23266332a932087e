"""Runs every scenario over every sample and gathers the checks into one verdict."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from awml_deploy_core.errors import AwmlDeployError, BackendUnavailableError
from awml_deploy_core.family import Sample
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.progress import Progress, no_progress
from awml_deploy_core.verification.sample_checks import OUTPUT, OutputComparator, SampleChecker
from awml_deploy_core.verification.scenarios import Endpoint, Scenario
from awml_deploy_core.verification.tensors import TensorComparator
from awml_deploy_core.verification.verdict import CheckResult, Status, Verdict

_LOG = logging.getLogger(__name__)

PipelineFactory = Callable[[Endpoint], InferencePipeline[Any, Any]]


@dataclass(frozen=True)
class ScenarioResult:
    """The checks of one scenario, in the order of samples and data flow."""

    scenario: Scenario
    checks: tuple[CheckResult, ...]
    seconds: float

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

    @property
    def verdict(self) -> Verdict:
        """One verdict over all scenarios."""
        return Verdict(tuple(check for result in self.scenarios for check in result.checks))


class VerificationOrchestrator:
    """Compares pipelines of different backends on the same samples.

    Args:
        open_pipeline: Opens the pipeline of an endpoint; raises BackendUnavailableError where the
            backend or device is not usable, which skips the scenario.
        tensors: Compares components' tensors.
        output: Compares decoded outputs.
        progress: Told after every sample.
    """

    def __init__(
        self,
        open_pipeline: PipelineFactory,
        tensors: TensorComparator,
        output: OutputComparator,
        progress: Progress = no_progress,
    ) -> None:
        self._open_pipeline = open_pipeline
        self._tensors = tensors
        self._output = output
        self._progress = progress

    def run(self, scenarios: Sequence[Scenario], samples: Sequence[Sample]) -> VerificationResult:
        """Run all scenarios; problems of a scenario or sample become checks, never exceptions.

        Args:
            scenarios: What to compare with what.
            samples: Indexed one at a time, so that a lazy sequence is never loaded as a whole.
        """
        return VerificationResult(tuple(self._run_scenario(scenario, samples) for scenario in scenarios))

    def _run_scenario(self, scenario: Scenario, samples: Sequence[Sample]) -> ScenarioResult:
        start = time.monotonic()
        checks: list[CheckResult] = []
        if not samples:
            checks.append(_outcome(scenario, Status.FAILED, "there is no sample to compare"))
        else:
            with ExitStack() as stack:
                try:
                    reference = stack.enter_context(self._open_pipeline(scenario.reference))
                    test = stack.enter_context(self._open_pipeline(scenario.test))
                except BackendUnavailableError as error:
                    checks.append(_outcome(scenario, Status.SKIPPED, str(error)))
                except AwmlDeployError as error:
                    checks.append(_outcome(scenario, Status.ERROR, str(error)))
                else:
                    self._progress(f"verify {scenario.name}", 0, len(samples))
                    for index in range(len(samples)):
                        checks += self._run_sample(scenario, samples, index, reference, test)
                        self._progress(f"verify {scenario.name}", index + 1, len(samples))
                    if message := _what_was_never_compared(checks, len(samples)):
                        checks.append(_outcome(scenario, Status.FAILED, message))
        result = ScenarioResult(scenario, tuple(checks), time.monotonic() - start)
        counts = ", ".join(f"{number} {state}" for state, number in result.verdict.counts().items())
        _LOG.info(
            "verified %s: %s",
            scenario.name,
            result.status.value,
            extra={"checks": counts, "seconds": result.seconds},
        )
        return result

    def _run_sample(
        self,
        scenario: Scenario,
        samples: Sequence[Sample],
        index: int,
        reference: InferencePipeline[Any, Any],
        test: InferencePipeline[Any, Any],
    ) -> list[CheckResult]:
        checker = SampleChecker(scenario.name, self._tensors, self._output, scenario.required)
        checks: list[CheckResult] = []
        sample_id = f"sample {index}"
        try:
            sample = samples[index]
            sample_id = sample.sample_id
            checks.extend(checker.check(sample, reference, test))
        except AwmlDeployError as error:
            checks.append(_outcome(scenario, Status.ERROR, str(error), sample_id))
        return checks


def _what_was_never_compared(checks: Sequence[CheckResult], count: int) -> str | None:
    """Why the checks of a scenario's samples prove too little, or None if they do not."""
    if all(check.status is Status.SKIPPED for check in checks):
        return f"none of the {count} samples could be compared"
    outputs = [check for check in checks if check.details.get("component") == OUTPUT]
    if outputs and all(check.status is Status.SKIPPED for check in outputs):
        return (
            f"the decoded output of none of the {count} samples could be compared, as neither side "
            "detects anything; choose samples with objects, or lower the score thresholds"
        )
    return None


def _outcome(scenario: Scenario, status: Status, message: str, sample: str = "") -> CheckResult:
    name = f"{scenario.name} / {sample}" if sample else scenario.name
    details = {"scenario": scenario.name, "sample": sample}
    return CheckResult(name, status, message, scenario.required, details)
