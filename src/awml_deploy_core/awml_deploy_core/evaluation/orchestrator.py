"""Evaluates every backend on the same samples and compares them in one result."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

from awml_deploy_core.config.evaluation_schema import EvaluationSection
from awml_deploy_core.errors import (
    AwmlDeployError,
    BackendUnavailableError,
    DeviceError,
    EvaluationError,
    MissingDependencyError,
)
from awml_deploy_core.evaluation.backend_run import Results, run_frames
from awml_deploy_core.evaluation.evidence import best_and_worst
from awml_deploy_core.evaluation.floors import check_floors, floors_of_others
from awml_deploy_core.evaluation.latency import LatencyStatistics
from awml_deploy_core.evaluation.latency_run import measure_latency
from awml_deploy_core.evaluation.memory import PeakMemory
from awml_deploy_core.evaluation.results import BackendResult, EvaluatedBackend, EvaluationResult, FrameRun
from awml_deploy_core.evaluation.samples import KeyedSamples
from awml_deploy_core.evaluation.task import AccuracyResult, AgreementResult, TaskMetric
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.progress import Progress, no_progress
from awml_deploy_core.verification import CheckResult, Endpoint, Status

_LOG = logging.getLogger(__name__)

_NO_TRUTH = "no sample has ground truth"


class Surroundings(Protocol):
    """What the orchestrator is given of the world: pipelines, files, kept results."""

    def open_pipeline(self, endpoint: Endpoint) -> InferencePipeline[Any, Any]:
        """The pipeline as it is deployed.

        Raises:
            BackendUnavailableError, DeviceError: The backend or device is not usable here, which skips it.
            AwmlDeployError: Anything else is wrong with it.
        """
        ...

    def open_results(self, endpoint: Endpoint) -> AbstractContextManager[Results]:
        """Where results of finished frames are kept."""
        ...

    def artifact_bytes(self, endpoint: Endpoint) -> int:
        """Size of the files that the backend loads."""
        ...


class EvaluationOrchestrator:
    """Measures accuracy, latency, memory and size of backends, and their agreement with the first.

    Args:
        surroundings: Opens pipelines and results.
        task: Measures outputs.
        section: What to measure, and the floors.
        progress: Told after every frame.
        synchronize: See :func:`~awml_deploy_core.evaluation.latency_run.measure_latency`.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        task: TaskMetric[Any, Any],
        section: EvaluationSection,
        progress: Progress = no_progress,
        synchronize: Callable[[], None] = lambda: None,
    ) -> None:
        self._surroundings = surroundings
        self._task = task
        self._section = section
        self._progress = progress
        self._synchronize = synchronize

    def run(self, backends: Sequence[EvaluatedBackend], samples: KeyedSamples) -> EvaluationResult:
        """Evaluate every backend; problems of a backend or sample become checks, never exceptions.

        Args:
            backends: The first is the reference.
            samples: Indexed one at a time, so that a lazy sequence is never loaded as a whole.

        Raises:
            ArtifactError: Results of finished frames cannot be kept.
            ParameterError: The options of the evaluation are not those of the model.
        """
        measured: list[BackendResult] = []
        for backend in backends:
            result = self._measure(backend, samples)
            reference = measured[0] if measured else None
            result = self._compare(result, reference)
            floors = tuple(check_floors(result, self._section.floors)) if result.run else ()
            result = replace(result, checks=(*result.checks, *floors))
            measured.append(result)
            _LOG.info(
                "evaluated %s: %s", result.name, result.status.value, extra={"seconds": result.seconds}
            )
        others = floors_of_others(self._section.floors, [result.name for result in measured])
        return EvaluationResult(self._task.name, len(samples), tuple(measured), tuple(others))

    def _measure(self, backend: EvaluatedBackend, samples: KeyedSamples) -> BackendResult:
        start = time.monotonic()
        if not len(samples):
            return self._not_run(backend, Status.FAILED, "there is no sample to run", start)
        memory = PeakMemory(backend.endpoint.device)
        try:
            pipeline = self._surroundings.open_pipeline(backend.endpoint)
        except (BackendUnavailableError, DeviceError) as error:
            return self._not_run(backend, Status.SKIPPED, str(error), start)
        except AwmlDeployError as error:
            return self._not_run(backend, Status.ERROR, str(error), start)
        name = str(backend.endpoint)
        with pipeline, self._surroundings.open_results(backend.endpoint) as results:
            accurate = pipeline.with_options(self._section.options)
            run = run_frames(accurate, samples, self._task, results, self._progress, f"evaluate {name}")
            latency, latency_missing = self._latency(pipeline, samples, name)
            memory.mark()
        accuracy, accuracy_missing, check = self._accuracy(backend, run)
        return BackendResult(
            backend,
            (_frames_check(backend, run, len(samples)), *check),
            time.monotonic() - start,
            run,
            accuracy,
            accuracy_missing,
            latency=latency,
            latency_missing=latency_missing,
            memory=memory.result(),
            size_bytes=self._surroundings.artifact_bytes(backend.endpoint),
        )

    def _latency(
        self, pipeline: InferencePipeline[Any, Any], samples: KeyedSamples, name: str
    ) -> tuple[LatencyStatistics | None, str | None]:
        if not self._section.latency.enabled:
            return None, "evaluation.latency.enabled is false"
        try:
            return (
                measure_latency(
                    pipeline,
                    samples.samples,
                    self._section.latency,
                    synchronize=self._synchronize,
                    progress=self._progress,
                    task=f"latency {name}",
                ),
                None,
            )
        except AwmlDeployError as error:
            _LOG.error("latency of %s cannot be measured: %s", name, error)
            return None, str(error)

    def _accuracy(
        self, backend: EvaluatedBackend, run: FrameRun
    ) -> tuple[AccuracyResult | None, str | None, tuple[CheckResult, ...]]:
        """Metrics over the frames with ground truth, or why there are none, as a check that shows it."""
        name, details = f"{backend.endpoint} / accuracy", {"backend": str(backend.endpoint)}
        labelled = [frame for frame in run.frames.values() if frame.truth is not None]
        if not labelled:
            reason = _NO_TRUTH if run.frames else "no sample could be run"
            message = f"accuracy was not measured: {reason}"
            return None, reason, (CheckResult(name, Status.SKIPPED, message, False, details),)
        try:
            return self._task.evaluate(labelled), None, ()
        except (EvaluationError, MissingDependencyError) as error:
            check = CheckResult(name, Status.ERROR, str(error), backend.required, details)
            return None, str(error), (check,)

    def _compare(self, result: BackendResult, reference: BackendResult | None) -> BackendResult:
        """The result with its agreement with the reference and the frames that stand out."""
        agreement, missing = self._agreement(result, reference)
        other = None if reference is None else (reference.name, reference.run)
        best, worst = best_and_worst(self._task, result.run, other, self._section.keep_frames)
        return replace(result, agreement=agreement, agreement_missing=missing, best=best, worst=worst)

    def _agreement(
        self, result: BackendResult, reference: BackendResult | None
    ) -> tuple[AgreementResult | None, str | None]:
        if reference is None:
            return None, "it is the reference"
        if result.run is None or reference.run is None:
            return None, f"{result.name if result.run is None else reference.name} did not run"
        ours, theirs = result.run.frames, reference.run.frames
        pairs = [(theirs[index].output, ours[index].output) for index in ours if index in theirs]
        try:
            return self._task.agreement(reference.name, pairs), None
        except EvaluationError as error:
            return None, str(error)

    @staticmethod
    def _not_run(backend: EvaluatedBackend, status: Status, reason: str, start: float) -> BackendResult:
        details = {"backend": str(backend.endpoint)}
        check = CheckResult(str(backend.endpoint), status, reason, backend.required, details)
        return BackendResult(
            backend,
            (check,),
            time.monotonic() - start,
            accuracy_missing=reason,
            latency_missing=reason,
        )


def _frames_check(backend: EvaluatedBackend, run: FrameRun, total: int) -> CheckResult:
    """Whether every sample ran; nothing is left out of a figure without being told."""
    message = f"{len(run.frames)} of {total} samples ran"
    status = Status.PASSED
    if run.failures:
        sample, reason = run.failures[0]
        status, message = Status.ERROR, f"{message}; {sample}: {reason}"
    details = {
        "backend": str(backend.endpoint),
        "resumed": run.resumed,
        "failures": [{"sample": sample, "reason": reason} for sample, reason in run.failures],
    }
    return CheckResult(f"{backend.endpoint} / samples", status, message, backend.required, details)
