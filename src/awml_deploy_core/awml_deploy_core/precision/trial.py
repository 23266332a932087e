"""Makes one variant and measures it where the limits are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from awml_deploy_core.config.precision_schema import Lowered, PrecisionSection, VariantName
from awml_deploy_core.config.verification import Precision
from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.evaluation.backend_run import Results
from awml_deploy_core.evaluation.results import FrameRun
from awml_deploy_core.family import Sample
from awml_deploy_core.precision.budget import Budget
from awml_deploy_core.precision.groups import LayerGroup
from awml_deploy_core.precision.limits import judge
from awml_deploy_core.precision.measuring import Measurer
from awml_deploy_core.precision.mixed import shortest_prefix
from awml_deploy_core.precision.results import GroupSensitivity, Limit, Measurement
from awml_deploy_core.precision.sensitivity import measure_sensitivities
from awml_deploy_core.precision.variants import Files, VariantMaker
from awml_deploy_core.verification import Endpoint
from awml_deploy_core.verification.tolerances import ToleranceChanges, Tolerances, resolve


@dataclass(frozen=True, eq=False)
class Trial:
    """A variant, made and measured or not."""

    name: VariantName
    precision: Precision
    """Whose tolerances apply."""
    files: Files | None = None
    measurement: Measurement | None = None
    run: FrameRun | None = None
    fp32_groups: tuple[LayerGroup, ...] = ()
    limits: tuple[Limit, ...] = ()
    missing: str | None = None
    """Why there are no files."""
    is_error: bool = False
    """Whether something failed, so that the study is not complete."""

    @property
    def keeps_limits(self) -> bool:
        """Whether every limit that could be measured holds, and any could."""
        judged = [limit.keeps for limit in self.limits if limit.keeps is not None]
        return bool(judged) and all(judged)


@dataclass(frozen=True, eq=False)
class Trials:
    """Tries variants against one FP32 reference."""

    section: PrecisionSection
    tolerance_changes: ToleranceChanges
    originals: Files
    maker: VariantMaker
    measurer: Measurer
    endpoint: Endpoint
    budget: Budget

    def tolerances(self, precision: Precision) -> Tolerances:
        """Limits of a precision, whose matching decides which boxes are the same."""
        return resolve(self.tolerance_changes, precision)

    def reference(self) -> Trial:
        """The bundle as it is.

        Raises:
            BackendUnavailableError, DeviceError: The backend is not usable here.
            AwmlDeployError: Anything else is wrong with it.
        """
        return self._measured(Trial("fp32", "fp32", self.originals), None)

    def uniform(self, name: VariantName, reference: Trial) -> Trial:
        """Everything lowered that may be."""
        precision: Precision = "fp16" if name == "fp16" else "int8"
        if self.budget.spent:
            return Trial(name, precision, missing=self.budget.reason)
        lowered: Lowered = "fp16" if name == "fp16" else "int8"
        try:
            files = self.maker.make(lowered, self.maker.groups(lowered))
            return self._measured(Trial(name, precision, files), reference)
        except AwmlDeployError as error:
            return Trial(name, precision, missing=str(error), is_error=True)

    def sensitivities(self, samples: Sequence[Sample], results: Results) -> tuple[GroupSensitivity, ...]:
        """What each group alone does, the most sensitive first; those not begun in time are missing.

        Raises:
            AwmlDeployError: A group cannot be lowered, opened or run.
        """
        lowered = self.section.mixed_of
        return measure_sensitivities(
            self.maker,
            lowered,
            self.measurer.surroundings,
            self.endpoint,
            samples,
            self.tolerances(lowered),
            results,
            self.budget,
            self.measurer.progress,
        )

    def mixed(
        self, sensitive: Sequence[GroupSensitivity], reference: Trial, uniform: Trial | None
    ) -> Trial:
        """As many groups lowered as the limits allow; the most sensitive stay in FP32.

        Args:
            sensitive: The most sensitive first. Groups not among them stay in FP32.
            reference: FP32.
            uniform: Everything lowered, if that was tried.
        """
        lowered = self.section.mixed_of
        known = [item.group for item in sensitive]
        unknown = tuple(group for group in self.maker.groups(lowered) if group not in known)
        if uniform is not None and uniform.keeps_limits and not unknown:
            return Trial("mixed", lowered, missing=f"{lowered} keeps the limits as it is: nothing to mix")

        def attempt(kept: Sequence[LayerGroup]) -> tuple[Trial, bool]:
            low = [group for group in known if group not in kept]
            files = self.maker.make(lowered, low)
            trial = Trial("mixed", lowered, files, fp32_groups=(*kept, *unknown))
            measured = self._measured(trial, reference)
            return measured, measured.keeps_limits

        try:
            found = shortest_prefix(known, attempt, lambda: self.budget.spent)
        except AwmlDeployError as error:
            return Trial("mixed", lowered, missing=str(error), is_error=True)
        if found is None:
            reason = (
                self.budget.reason if self.budget.spent else "no group can be lowered within the limits"
            )
            return Trial("mixed", lowered, missing=reason)
        return found.result

    def _measured(self, trial: Trial, reference: Trial | None) -> Trial:
        assert trial.files is not None
        surroundings, kept = self.measurer.surroundings, len(trial.fp32_groups)
        title = f"{trial.name}" + (f" ({kept} groups in FP32)" if kept else "")
        with surroundings.open_pipeline(trial.files, self.endpoint, trial.precision) as pipeline:
            measurement, run = self.measurer.measure(
                pipeline,
                trial.files,
                self.endpoint,
                title,
                None if reference is None else reference.run,
                self.tolerances(trial.precision),
            )
        full = measurement if reference is None else reference.measurement
        assert full is not None
        limits = judge(self.section, measurement, full)
        return Trial(trial.name, trial.precision, trial.files, measurement, run, trial.fp32_groups, limits)
