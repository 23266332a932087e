"""Tries the precisions of a model and chooses one: what the command ``precision`` does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from awml_deploy_core.config.evaluation_schema import LatencySection
from awml_deploy_core.config.precision_schema import VariantName
from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.evaluation.backend_run import Results
from awml_deploy_core.evaluation.results import EvaluatedBackend
from awml_deploy_core.family import Sample
from awml_deploy_core.precision.comparing import Comparing
from awml_deploy_core.precision.limits import smallest
from awml_deploy_core.precision.results import GroupSensitivity, StudyResult, VariantResult
from awml_deploy_core.precision.trial import Trial, Trials
from awml_deploy_core.verification import CheckResult, Status

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PrecisionStudy:
    """Makes and measures the variants.

    What fails becomes a check or a reason, and the next variant or backend follows.
    """

    trials: Trials
    others: Sequence[EvaluatedBackend]
    """Backends beside the one that the limits are judged by."""
    latency: LatencySection
    samples: Sequence[Sample]
    """Few, of the calibration: what groups and tensors are looked at on."""
    num_calibration: int
    kept: AbstractContextManager[Results]
    """Where sensitivities are kept."""
    choose: VariantName | None = None
    """What is taken if it keeps the limits; None takes the smallest that does."""

    def run(self) -> tuple[StudyResult, Trial | None]:
        """The result, and the variant that was chosen.

        Raises:
            BackendUnavailableError, DeviceError: The backend that the limits are judged by is not
                usable here.
            ArtifactError: Results cannot be kept.
            AwmlDeployError: The model cannot be run in FP32.
        """
        trials = [self.trials.reference()]
        wanted: Sequence[VariantName] = self.trials.section.variants
        for name in ("fp16", "int8"):
            if name in wanted:
                trials.append(self.trials.uniform(name, trials[0]))
                _tell(trials[-1])
        sensitivities, missing = self._sensitivities("mixed" in wanted)
        if "mixed" in wanted:
            trials.append(self._mixed(trials, sensitivities, missing))
            _tell(trials[-1])
        made = [trial for trial in trials if trial.files is not None]
        comparing = Comparing(self.trials, made, self.latency)
        tensors = comparing.tensors(self.samples)
        measured, checks = comparing.measurements(self.others)
        results = tuple(
            VariantResult(
                trial.name,
                trial.missing,
                None if trial.files is None else sum(path.stat().st_size for path in trial.files.values()),
                tuple(group.title for group in trial.fp32_groups),
                len(self.trials.maker.groups("fp16" if trial.precision == "fp16" else "int8")),
                tuple(measured.get(trial.name, ())),
                tensors.get(trial.name, ()),
                trial.limits,
            )
            for trial in trials
        )
        chosen, reason = self._choice(results)
        status = Status.PASSED if chosen else Status.FAILED
        choice = CheckResult("choice", status, f"{chosen or self.choose or 'none'}: {reason}")
        result = StudyResult(
            len(self.trials.measurer.samples),
            self.num_calibration,
            results,
            sensitivities,
            missing,
            chosen,
            reason,
            (*map(_check, trials), *checks, choice),
        )
        return result, next((trial for trial in trials if trial.name == chosen), None)

    def _sensitivities(self, wanted: bool) -> tuple[tuple[GroupSensitivity, ...], str | None]:
        """Those measured, and why others are not."""
        if not wanted:
            return (), "mixed is not among precision.variants"
        try:
            with self.kept as results:
                found = self.trials.sensitivities(self.samples, results)
        except AwmlDeployError as error:
            return (), str(error)
        total = len(self.trials.maker.groups(self.trials.section.mixed_of))
        if len(found) < total:
            return found, f"{total - len(found)} of {total} groups: {self.trials.budget.reason}"
        return found, None

    def _mixed(
        self, trials: Sequence[Trial], sensitive: tuple[GroupSensitivity, ...], missing: str | None
    ) -> Trial:
        lowered = self.trials.section.mixed_of
        if not sensitive:
            reason = missing or "the model has no layers to lower"
            is_error = missing is not None and not self.trials.budget.spent
            return Trial("mixed", lowered, missing=reason, is_error=is_error)
        uniform = next((trial for trial in trials if trial.name == lowered), None)
        return self.trials.mixed(sensitive, trials[0], uniform)

    def _choice(self, variants: Sequence[VariantResult]) -> tuple[VariantName | None, str]:
        if self.choose is None:
            return smallest(variants)
        asked = next((variant for variant in variants if variant.name == self.choose), None)
        if asked is None:
            return None, "is not among precision.variants"
        if asked.missing is not None:
            return None, asked.missing
        if not asked.keeps_limits:
            broken = [limit.message for limit in asked.limits if limit.keeps is False]
            return None, "; ".join(broken) or "nothing of it could be judged"
        return asked.name, "it was asked for and keeps the limits"


def _check(trial: Trial) -> CheckResult:
    """Whether a variant was measured; limits that it breaks are no failure of the study."""
    if trial.missing is not None:
        status = Status.ERROR if trial.is_error else Status.SKIPPED
        return CheckResult(trial.name, status, trial.missing, required=trial.is_error)
    assert trial.measurement is not None
    failures = trial.measurement.failures
    if failures:
        sample, reason = failures[0]
        message = f"{len(failures)} samples could not be run; {sample}: {reason}"
        return CheckResult(trial.name, Status.ERROR, message)
    limits = "; ".join(limit.message for limit in trial.limits)
    return CheckResult(trial.name, Status.PASSED, f"{trial.measurement.frames} samples ran; {limits}")


def _tell(trial: Trial) -> None:
    words = "; ".join(limit.message for limit in trial.limits)
    _LOG.info("%s: %s", trial.name, trial.missing or words)
