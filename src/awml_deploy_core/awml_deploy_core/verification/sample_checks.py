"""All checks of one sample in one scenario: what goes in, every component, what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from awml_deploy_core.config.verification import Level
from awml_deploy_core.family import Sample
from awml_deploy_core.pipeline import Candidates, InferencePipeline, OffersCandidates, TensorTap
from awml_deploy_core.verification.boxes import CandidatesOf, OutputComparison
from awml_deploy_core.verification.level_clock import INFERENCE, LevelClock
from awml_deploy_core.verification.tensor_diagnosis import diagnose_tensor
from awml_deploy_core.verification.tensors import TensorComparator, TensorComparison
from awml_deploy_core.verification.tolerances import DEFAULTS, Tolerances
from awml_deploy_core.verification.verdict import CheckResult, Status

PREPROCESSING = "preprocessing"
OUTPUT = "output"
COMPONENT: Level = "component"
CHAIN: Level = "chain"
BOXES: Level = "boxes"

Arrays = Mapping[str, npt.NDArray[Any]]
Comparisons = Mapping[str, TensorComparison]
Pipeline = InferencePipeline[Any, Any]


class OutputComparator(Protocol):
    """Compares what two pipelines decoded from the same sample."""

    def compare(
        self, reference: Any, test: Any, candidates: CandidatesOf | None = None
    ) -> OutputComparison:
        """Compare ``test`` with ``reference``."""
        ...


def _ignore(component: str, inputs: Arrays) -> None:
    """Nobody asked."""


def _keep_nothing(reference: TensorTap, test: TensorTap) -> None:
    """Nobody asked."""


def _look_away(reference: Any, test: Any, comparison: OutputComparison) -> None:
    """Nobody asked."""


@dataclass(frozen=True)
class SampleChecker:
    """Runs one sample through both pipelines and compares every stage.

    Levels of a check:

    - ``component`` feeds the test session with the reference's inputs, so only this component can
      differ. Where the test's own inputs are bit-identical its own outputs are taken.
    - ``chain`` compares what both pipelines computed from the same cloud, so differences of earlier
      components are inherited. It starts with the preprocessing, which is float32 whatever the
      precision of the artifacts.
    - ``boxes`` compares what is decoded. The rounding margin of borderline boxes is the difference
      of the last component's outputs between the chains, at most what their tolerance allows.
    """

    scenario: str
    tolerances: Tolerances
    output: OutputComparator
    levels: frozenset[Level]
    required: bool = True
    on_component_failure: Callable[[str, Arrays], None] = _ignore
    """Told the component that failed alone and the inputs it failed with."""
    on_trace: Callable[[TensorTap, TensorTap], None] = _keep_nothing
    """Told what the components of reference and test were fed with and gave."""
    on_output: Callable[[Any, Any, OutputComparison], None] = _look_away
    """Told what reference and test decoded, and how it compares."""

    def check(
        self, sample: Sample, reference: Pipeline, test: Pipeline, clock: LevelClock
    ) -> Iterator[CheckResult]:
        """Checks in the order of the data flow.

        Raises:
            AwmlDeployError: Either pipeline cannot process the sample.
        """
        with clock.measure(INFERENCE):
            expected, reference_tap = reference.trace(sample.input)
            if self.levels & {CHAIN, BOXES}:
                actual, test_tap = test.trace(sample.input)
            else:
                actual, test_tap = expected, TensorTap()
        if not reference_tap.inputs and not test_tap.inputs:
            message = "nothing to compare: no component ran, since no point of the sample is in range"
            yield self._nothing_to_compare(sample, message, {})
            return
        self.on_trace(reference_tap, test_tap)
        yield from self._tensors(sample, reference_tap, test_tap, test, clock)
        if BOXES not in self.levels:
            return
        with clock.measure(BOXES):
            ask = partial(self._candidates, (reference, test), (reference_tap, test_tap))
            comparison = self.output.compare(expected.output, actual.output, ask)
        self.on_output(expected.output, actual.output, comparison)
        if comparison and comparison.is_empty:
            message = f"nothing to compare: {comparison.message()}"
            yield self._nothing_to_compare(sample, message, comparison.details)
            return
        status = Status.PASSED if comparison else Status.FAILED
        yield self._result(sample, BOXES, OUTPUT, "", status, comparison.message(), comparison.details)

    def _tensors(
        self, sample: Sample, reference: TensorTap, tap: TensorTap, test: Pipeline, clock: LevelClock
    ) -> Iterator[CheckResult]:
        sessions = {session.spec.name: session for session in test.sessions}
        for index, name in enumerate(dict.fromkeys([*reference.inputs, *tap.inputs])):
            both = name in reference.inputs and name in tap.inputs
            if CHAIN in self.levels and not both:
                side = "reference" if name in reference.inputs else "test"
                message = f"ran in the {side} only"
                yield self._result(sample, CHAIN, name, "", Status.FAILED, message, {})
            if CHAIN in self.levels and both and index == 0:
                with clock.measure(CHAIN):
                    found = self.compare(PREPROCESSING, reference.inputs[name], tap.inputs[name])
                feeds = reference.inputs[name], tap.inputs[name]
                yield from self.checks(sample, CHAIN, PREPROCESSING, found, feeds)
            same = both and _identical(reference.inputs[name], tap.inputs[name])
            alone: Comparisons | None = None
            if COMPONENT in self.levels and name in reference.inputs and name in sessions:
                with clock.measure(COMPONENT):
                    inputs = reference.inputs[name]
                    outputs = tap.outputs[name] if same else sessions[name].run(inputs)
                    alone = self.compare(name, reference.outputs[name], outputs)
                pair = reference.outputs[name], outputs
                yield from self.checks(sample, COMPONENT, name, alone, pair)
                if not all(alone.values()):
                    self.on_component_failure(name, inputs)
            if CHAIN in self.levels and both:
                with clock.measure(CHAIN):
                    # The same tensors, if the component alone was given the test's own.
                    found = (
                        alone
                        if same and alone is not None
                        else self.compare(name, reference.outputs[name], tap.outputs[name])
                    )
                yield from self.checks(sample, CHAIN, name, found)

    def _candidates(
        self, pipelines: tuple[Pipeline, Pipeline], taps: tuple[TensorTap, TensorTap]
    ) -> tuple[Candidates, Candidates] | None:
        """What both sides decoded before suppression, where both can say."""
        offering = [pipeline for pipeline in pipelines if isinstance(pipeline, OffersCandidates)]
        if len(offering) < 2 or taps[0].outputs.keys() != taps[1].outputs.keys():
            return None
        margins = {
            component: {
                name: self._margin(name, values, taps[1].outputs[component][name])
                for name, values in outputs.items()
                if name in taps[1].outputs[component]
            }
            for component, outputs in taps[0].outputs.items()
        }
        first, second = (
            pipeline.candidates(tap.outputs, margins) for pipeline, tap in zip(offering, taps, strict=True)
        )
        return first, second

    def _margin(self, name: str, reference: npt.NDArray[Any], test: npt.NDArray[Any]) -> float:
        """The measured difference, at most what the tensor's tolerance allows."""
        if reference.shape != test.shape:
            return 0.0
        difference = np.abs(reference.astype(np.float64) - test)
        measured = float(difference[np.isfinite(difference)].max(initial=0.0))
        tolerance = self.tolerances.of(name)
        limits = [] if tolerance.max_abs is None else [tolerance.max_abs]
        if tolerance.relative is not None:
            scale = float(np.abs(reference[np.isfinite(reference)]).max(initial=0.0))
            limits.append(tolerance.relative * scale)
        return min([measured, *limits])

    def _nothing_to_compare(self, sample: Sample, message: str, figures: Mapping[str, Any]) -> CheckResult:
        """One such sample of many is no failure; the whole scenario judges whether any was compared."""
        skipped = self._result(sample, BOXES, OUTPUT, "", Status.SKIPPED, message, figures)
        return replace(skipped, required=False)

    def compare(self, component: str, reference: Arrays, test: Arrays) -> Comparisons:
        """Compare the tensors of a component, or of the preprocessing, by name."""
        tolerances = self.tolerances
        if component == PREPROCESSING:
            tolerances = replace(DEFAULTS["fp32"], outputs=tolerances.outputs)
        comparator = TensorComparator(tolerances)
        return {
            name: comparator.compare(name, values, test[name])
            if name in test
            else TensorComparison(name, ("is missing in the test",), ())
            for name, values in reference.items()
        }

    def checks(
        self,
        sample: Sample,
        level: Level,
        component: str,
        comparisons: Comparisons,
        pair: tuple[Arrays, Arrays] | None = None,
    ) -> Iterator[CheckResult]:
        """A check of every tensor; of those in ``pair`` that fail, what kind of mistake explains it."""
        for name, found in comparisons.items():
            message, details = found.message(), found.details()
            if not found and pair is not None and name in pair[1]:
                others = {other: values for other, values in pair[0].items() if other != name}
                if causes := diagnose_tensor(pair[0][name], pair[1][name], others):
                    message = "; ".join([*causes, message])
                    details["diagnosis"] = list(causes)
            status = Status.PASSED if found else Status.FAILED
            yield self._result(sample, level, component, name, status, message, details)

    def _result(
        self,
        sample: Sample,
        level: Level,
        component: str,
        tensor: str,
        status: Status,
        message: str,
        figures: Mapping[str, Any],
    ) -> CheckResult:
        stage = f"{component}.{tensor}" if tensor else component
        suffix = " (component alone)" if level == COMPONENT else ""
        details = {
            "scenario": self.scenario,
            "sample": sample.sample_id,
            "level": level,
            "component": component,
            "tensor": tensor,
            **figures,
        }
        name = f"{self.scenario} / {sample.sample_id} / {stage}{suffix}"
        return CheckResult(name, status, message, self.required, details)


def _identical(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
