"""What is measured of all variants once they are known: latency, other backends, tensors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from awml_deploy_core.artifacts.manager import PYTORCH
from awml_deploy_core.config.evaluation_schema import LatencySection
from awml_deploy_core.errors import AwmlDeployError, BackendUnavailableError, DeviceError
from awml_deploy_core.evaluation.results import EvaluatedBackend
from awml_deploy_core.family import Sample
from awml_deploy_core.precision.comparison import tensor_errors
from awml_deploy_core.precision.measuring import Pipeline, latency_side_by_side
from awml_deploy_core.precision.results import Measurement, TensorError
from awml_deploy_core.precision.sensitivity import traced
from awml_deploy_core.precision.trial import Trial, Trials
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend
from awml_deploy_core.verification import CheckResult, Endpoint, Status

_LOG = logging.getLogger(__name__)
_NOT_ONNX = "runs the trained module, whose precision the study does not change"

Measured = dict[str, list[Measurement]]
"""By variant, one measurement a backend."""


@dataclass(frozen=True, eq=False)
class Comparing:
    """Measures variants that were made.

    Args:
        trials: Which measured them where the limits are judged.
        made: FP32 first.
        latency: Warm-up, samples, percentile.
    """

    trials: Trials
    made: Sequence[Trial]
    latency: LatencySection

    def measurements(self, others: Sequence[EvaluatedBackend]) -> tuple[Measured, list[CheckResult]]:
        """Accuracy, agreement and latency on every backend; one that cannot run here has a reason."""
        found: Measured = {trial.name: [trial.measurement] for trial in self.made if trial.measurement}
        self._add_latency(self.trials.endpoint, found)
        checks = []
        for backend in others:
            reason = self._measure(backend.endpoint, found)
            if reason is None:
                self._add_latency(backend.endpoint, found)
                continue
            for measured in found.values():
                measured.append(Measurement(backend.endpoint, missing=reason))
            # Nobody can ask for what is not made of ONNX files.
            required = backend.required and backend.endpoint.backend != PYTORCH
            checks.append(CheckResult(str(backend.endpoint), Status.SKIPPED, reason, required))
        return found, checks

    def tensors(self, samples: Sequence[Sample]) -> dict[str, tuple[TensorError, ...]]:
        """Errors of every component's outputs, each component fed with FP32's inputs.

        Raises:
            AwmlDeployError: A sample cannot be loaded, or a component cannot be run.
        """
        reference, *others = self.made
        assert reference.files is not None
        endpoint, surroundings = self.trials.endpoint, self.trials.measurer.surroundings
        with surroundings.open_pipeline(reference.files, endpoint, "fp32") as pipeline:
            taps = [tap for _, tap in traced(pipeline, samples)]
            specs = [session.spec for session in pipeline.sessions]
        backend = load_backend(endpoint.backend)
        found: dict[str, tuple[TensorError, ...]] = {}
        for trial in others:
            errors: list[TensorError] = []
            for spec in specs:
                assert trial.files is not None
                source = SessionSource(spec, trial.files[spec.name])
                session = backend.open_session(source, endpoint.device, SessionOptions())
                try:
                    pairs = [
                        (tap.outputs[spec.name], session.run(tap.inputs[spec.name]))
                        for tap in taps
                        if spec.name in tap.inputs
                    ]
                finally:
                    session.close()
                errors += tensor_errors(spec.name, pairs)
            found[trial.name] = tuple(errors)
        return found

    def _measure(self, endpoint: Endpoint, found: Measured) -> str | None:
        """Add the measurements of one more backend; the reason where it cannot be used."""
        if endpoint.backend == PYTORCH:
            return _NOT_ONNX
        reference = self.made[0].run
        added: dict[str, Measurement] = {}
        measurer = self.trials.measurer
        for trial in self.made:
            if self.trials.budget.spent:
                return self.trials.budget.reason
            assert trial.files is not None
            try:
                with measurer.surroundings.open_pipeline(
                    trial.files, endpoint, trial.precision
                ) as pipeline:
                    added[trial.name], _ = measurer.measure(
                        pipeline,
                        trial.files,
                        endpoint,
                        f"{trial.name} on {endpoint}",
                        reference,
                        self.trials.tolerances(trial.precision),
                    )
            except (BackendUnavailableError, DeviceError) as error:
                return str(error)
            except AwmlDeployError as error:
                _LOG.error("%s on %s: %s", trial.name, endpoint, error)
                added[trial.name] = Measurement(endpoint, missing=str(error))
        for name, measurement in added.items():
            found[name].append(measurement)
        return None

    def _add_latency(self, endpoint: Endpoint, found: Measured) -> None:
        """Put the latency of every variant that ran on a backend into its last measurement."""
        frames = self.trials.section.latency_frames
        running = [trial for trial in self.made if trial.files and found[trial.name][-1].missing is None]
        reason: str | None = None
        if not frames:
            reason = "precision.latency_frames is 0"
        elif self.trials.budget.spent:
            reason = self.trials.budget.reason
        statistics = {}
        if reason is None:
            open_pipeline = self.trials.measurer.surroundings.open_pipeline
            openers: dict[str, Callable[[], Pipeline]] = {
                trial.name: partial(open_pipeline, trial.files or {}, endpoint, trial.precision)
                for trial in running
            }
            try:
                statistics = latency_side_by_side(
                    openers,
                    self.trials.measurer.samples,
                    self.latency,
                    frames,
                    self.trials.measurer.progress,
                    f"latency {endpoint}",
                )
            except AwmlDeployError as error:
                reason = str(error)
        for trial in running:
            last = found[trial.name][-1]
            latency = statistics.get(trial.name)
            found[trial.name][-1] = replace(last, latency=latency, latency_missing=reason)
