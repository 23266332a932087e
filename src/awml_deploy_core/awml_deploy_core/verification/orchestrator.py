"""Runs every scenario over every sample and gathers the checks into one verdict."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from awml_deploy_core.config.verification import Level, Precision
from awml_deploy_core.errors import AwmlDeployError, BackendUnavailableError
from awml_deploy_core.family import Sample
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.progress import Progress, no_progress
from awml_deploy_core.runtime.binding import name_problem
from awml_deploy_core.verification.bisect import Bisection
from awml_deploy_core.verification.boxes import DetectionsComparator, OutputComparison
from awml_deploy_core.verification.bundle_checks import BUNDLE
from awml_deploy_core.verification.closing_checks import ClosingChecks, RangeCheck
from awml_deploy_core.verification.level_clock import LevelClock
from awml_deploy_core.verification.results import ScenarioResult, VerificationResult
from awml_deploy_core.verification.sample_checks import (
    BOXES,
    CHAIN,
    COMPONENT,
    OUTPUT,
    Arrays,
    OutputComparator,
    SampleChecker,
)
from awml_deploy_core.verification.scenarios import Endpoint, Scenario
from awml_deploy_core.verification.tolerances import ToleranceChanges, Tolerances, coarsest, resolve
from awml_deploy_core.verification.verdict import CheckResult, Status

_LOG = logging.getLogger(__name__)

ALL_LEVELS: frozenset[Level] = frozenset({COMPONENT, CHAIN, BOXES})

PipelineFactory = Callable[[Endpoint], InferencePipeline[Any, Any]]
PrecisionOf = Callable[[Endpoint, InferencePipeline[Any, Any]], Precision]
Bisector = Callable[[Scenario, str, Arrays, Tolerances], Bisection]


OutputObserver = Callable[[Scenario, Sample, Any, Any, OutputComparison], None]
"""Told what reference and test decoded from a sample, and how it compares."""


def _look_away(scenario: Scenario, sample: Sample, reference: Any, test: Any, _: OutputComparison) -> None:
    """Nobody asked."""


def session_precision(_: Endpoint, pipeline: InferencePipeline[Any, Any]) -> Precision:
    """The coarsest precision that a pipeline's sessions name; fp32 for one that names none."""
    return coarsest(getattr(session, "precision", None) for session in pipeline.sessions)


def _compare_boxes(tolerances: Tolerances) -> OutputComparator:
    return DetectionsComparator(tolerances.boxes)


@dataclass(frozen=True)
class VerificationSettings:
    """What is checked and how strictly."""

    tolerances: ToleranceChanges = field(default_factory=dict)
    """What the configuration changes in the defaults of a precision."""
    levels: frozenset[Level] = ALL_LEVELS
    precision_of: PrecisionOf = session_precision
    """Precision of the artifacts that a pipeline runs."""
    output: Callable[[Tolerances], OutputComparator] = _compare_boxes
    """Makes the comparator of decoded outputs."""
    names_are_fixed: bool = False
    """Whether a graph that names its tensors otherwise than its component's spec is a defect: it is one
    in a bundle that this suite exported."""
    half_range: RangeCheck | None = None
    """Looks into the components of a scenario in half precision for values that it cannot hold."""
    bisect: Bisector | None = None
    """Searches a component that failed alone; once a component and scenario."""
    on_output: OutputObserver = _look_away


class VerificationOrchestrator:
    """Compares pipelines of different backends on the same samples.

    Args:
        open_pipeline: Opens the pipeline of an endpoint; raises BackendUnavailableError where the
            backend or device is not usable, which skips the scenario.
        settings: What is checked and how strictly.
        progress: Told after every sample.
    """

    def __init__(
        self,
        open_pipeline: PipelineFactory,
        settings: VerificationSettings | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self._open_pipeline = open_pipeline
        self._settings = settings or VerificationSettings()
        self._progress = progress

    def run(self, scenarios: Sequence[Scenario], samples: Sequence[Sample]) -> VerificationResult:
        """Run all scenarios; problems of a scenario or sample become checks, never exceptions.

        Args:
            scenarios: What to compare with what.
            samples: Indexed one at a time, so that a lazy sequence is never loaded as a whole.
        """
        if not self._settings.levels & ALL_LEVELS:
            return VerificationResult(())
        results = tuple(self._run_scenario(scenario, samples) for scenario in scenarios)
        if any(result.status is not Status.SKIPPED for result in results):
            return VerificationResult(results)
        message = f"none of the {len(results)} scenarios could run here" if results else "there are none"
        return VerificationResult(results, (CheckResult("scenarios", Status.FAILED, message),))

    def _run_scenario(self, scenario: Scenario, samples: Sequence[Sample]) -> ScenarioResult:
        start = time.monotonic()
        run = _ScenarioRun(scenario, self._settings, samples)
        if not samples:
            run.note(Status.FAILED, "there is no sample to compare")
        else:
            with ExitStack() as stack:
                try:
                    reference = stack.enter_context(self._open_pipeline(scenario.reference))
                    test = stack.enter_context(self._open_pipeline(scenario.test))
                except BackendUnavailableError as error:
                    run.note(Status.SKIPPED, str(error))
                except AwmlDeployError as error:
                    run.note(Status.ERROR, str(error))
                else:
                    self._progress(f"verify {scenario.name}", 0, len(samples))
                    checker = run.checker(reference, test)
                    run.check_names(reference, test)
                    for index in range(len(samples)):
                        run.compare(checker, index, reference, test)
                        self._progress(f"verify {scenario.name}", index + 1, len(samples))
                    if message := _what_was_never_compared(run.checks, len(samples)):
                        run.note(Status.FAILED, message)
                    run.close(checker, reference, test)
        result = run.result(time.monotonic() - start)
        counts = ", ".join(f"{number} {state}" for state, number in result.verdict.counts().items())
        _LOG.info(
            "verified %s: %s",
            scenario.name,
            result.status.value,
            extra={"checks": counts, "seconds": result.seconds},
        )
        return result


class _ScenarioRun:
    """What one scenario has found so far."""

    def __init__(
        self, scenario: Scenario, settings: VerificationSettings, samples: Sequence[Sample]
    ) -> None:
        self._scenario = scenario
        self._settings = settings
        self._samples = samples
        self._clock = LevelClock()
        self._precision: Precision | None = None
        self._bisections: dict[str, Bisection] = {}
        self._closing = ClosingChecks(settings.half_range)
        self.checks: list[CheckResult] = []

    def note(self, status: Status, message: str, sample: str = "") -> None:
        name = f"{self._scenario.name} / {sample}" if sample else self._scenario.name
        details = {"scenario": self._scenario.name, "sample": sample}
        self.checks.append(CheckResult(name, status, message, self._scenario.required, details))

    def checker(
        self, reference: InferencePipeline[Any, Any], test: InferencePipeline[Any, Any]
    ) -> SampleChecker:
        scenario, settings = self._scenario, self._settings
        self._precision = scenario.precision or coarsest(
            settings.precision_of(endpoint, pipeline)
            for endpoint, pipeline in ((scenario.reference, reference), (scenario.test, test))
        )
        tolerances = resolve(settings.tolerances, self._precision)

        def search(component: str, inputs: Arrays) -> None:
            if settings.bisect is None or component in self._bisections:
                return
            with self._clock.measure("bisect"):
                self._bisections[component] = settings.bisect(scenario, component, inputs, tolerances)

        return SampleChecker(
            scenario.name,
            tolerances,
            settings.output(tolerances),
            settings.levels,
            scenario.required,
            search,
        )

    def compare(
        self,
        checker: SampleChecker,
        index: int,
        reference: InferencePipeline[Any, Any],
        test: InferencePipeline[Any, Any],
    ) -> None:
        sample_id = f"sample {index}"
        try:
            sample = self._samples[index]
            sample_id = sample.sample_id
            told = replace(
                checker,
                on_trace=partial(self._closing.note, sample),
                on_output=partial(self._settings.on_output, self._scenario, sample),
            )
            self.checks.extend(told.check(sample, reference, test, self._clock))
        except AwmlDeployError as error:
            self.note(Status.ERROR, str(error), sample_id)

    def close(
        self,
        checker: SampleChecker,
        reference: InferencePipeline[Any, Any],
        test: InferencePipeline[Any, Any],
    ) -> None:
        """What is checked after the samples."""
        try:
            self.checks.extend(self._closing.run(checker, reference, test, self._clock))
        except AwmlDeployError as error:
            self.note(Status.ERROR, str(error), "after the samples")

    def check_names(
        self, reference: InferencePipeline[Any, Any], test: InferencePipeline[Any, Any]
    ) -> None:
        """Whether graphs call their tensors what the bundle says, if it says so."""
        if not self._settings.names_are_fixed:
            return
        for session in (*reference.sessions, *test.sessions):
            if problem := name_problem(session):
                name = f"{self._scenario.name} / {session.spec.name} / names of its tensors"
                details = {"scenario": self._scenario.name, "level": BUNDLE, "component": session.spec.name}
                check = CheckResult(name, Status.FAILED, problem, self._scenario.required, details)
                self.checks.append(check)

    def result(self, seconds: float) -> ScenarioResult:
        return ScenarioResult(
            self._scenario,
            tuple(self.checks),
            seconds,
            self._precision,
            tuple(self._bisections.values()),
            self._clock.seconds,
        )


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
