"""Checks of a scenario that follow its samples: the first sample again, and components with noise.

- ``repeat``: the first sample, run again after the others, gives the same bits in every tensor of a
  pipeline. State that stays between frames shows here, also where both sides share the code that keeps it.
- ``component``: every component alone on the first sample's inputs with noise, see
  :mod:`~awml_deploy_core.verification.stimulus`. Not for int8, whose ranges were calibrated without noise.
- ``component`` in half precision: whether any tensor of the graph is beyond it, see
  :mod:`~awml_deploy_core.verification.half_range`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from awml_deploy_core.family import Sample
from awml_deploy_core.pipeline import TensorTap
from awml_deploy_core.verification.level_clock import INFERENCE, LevelClock
from awml_deploy_core.verification.repetition import Fingerprints, fingerprints, repetition_problem
from awml_deploy_core.verification.sample_checks import (
    BOXES,
    CHAIN,
    COMPONENT,
    Arrays,
    Pipeline,
    SampleChecker,
)
from awml_deploy_core.verification.stimulus import stirred
from awml_deploy_core.verification.verdict import CheckResult, Status

REPEAT = "repeat"


RangeCheck = Callable[[str, Arrays], str]
"""Says of a component and its inputs which of its tensors half precision cannot hold."""


@dataclass
class ClosingChecks:
    """Remembers the first sample that ran, and checks what follows from it."""

    half_range: RangeCheck | None = None
    """None where graphs cannot be looked into."""
    _first: Sample | None = None
    _count: int = 0
    _prints: tuple[Fingerprints, Fingerprints] = field(default=({}, {}))

    def note(self, sample: Sample, reference: TensorTap, test: TensorTap) -> None:
        """A sample was run."""
        self._count += 1
        if self._first is None:
            self._first = sample
            self._prints = fingerprints(reference), fingerprints(test)

    def run(
        self, checker: SampleChecker, reference: Pipeline, test: Pipeline, clock: LevelClock
    ) -> Iterator[CheckResult]:
        """The checks, none if no sample ran; repetition needs a second one.

        Raises:
            AwmlDeployError: Either pipeline cannot run the sample again, or a component its noise.
        """
        sample = self._first
        if sample is None:
            return
        both = bool(checker.levels & {CHAIN, BOXES})
        with clock.measure(INFERENCE):
            taps = reference.trace(sample.input)[1], test.trace(sample.input)[1] if both else TensorTap()
        if both and self._count > 1:
            with clock.measure(REPEAT):
                yield from self._repetitions(checker, sample, taps)
        if COMPONENT in checker.levels and checker.tolerances.precision != "int8":
            yield from _stirred(checker, sample, taps[0].inputs, (reference, test), clock)
        if COMPONENT in checker.levels and checker.tolerances.precision == "fp16":
            with clock.measure(COMPONENT):
                yield from self._ranges(checker, sample, taps[0].inputs)

    def _ranges(
        self, checker: SampleChecker, sample: Sample, inputs: Mapping[str, Arrays]
    ) -> Iterator[CheckResult]:
        for name, fed in inputs.items() if self.half_range else ():
            problem = self.half_range(name, fed) if self.half_range else ""
            yield CheckResult(
                f"{checker.scenario} / {sample.sample_id} / {name} in half precision",
                Status.FAILED if problem else Status.PASSED,
                problem or "no tensor overflows",
                checker.required,
                {
                    "scenario": checker.scenario,
                    "sample": sample.sample_id,
                    "level": COMPONENT,
                    "component": name,
                },
            )

    def _repetitions(
        self, checker: SampleChecker, sample: Sample, taps: tuple[TensorTap, TensorTap]
    ) -> Iterator[CheckResult]:
        for side, first, tap in zip(("reference", "test"), self._prints, taps, strict=True):
            problem = repetition_problem(first, fingerprints(tap))
            yield CheckResult(
                f"{checker.scenario} / {sample.sample_id} / {side} again",
                Status.FAILED if problem else Status.PASSED,
                problem or "bit-identical after the other samples",
                checker.required,
                {"scenario": checker.scenario, "sample": sample.sample_id, "level": REPEAT, "side": side},
            )


def _stirred(
    checker: SampleChecker,
    sample: Sample,
    inputs: Mapping[str, Arrays],
    pipelines: tuple[Pipeline, Pipeline],
    clock: LevelClock,
) -> Iterator[CheckResult]:
    noisy = replace(sample, sample_id=f"{sample.sample_id} with noise")
    sessions = {session.spec.name: session for session in pipelines[1].sessions}
    for session in pipelines[0].sessions:
        name = session.spec.name
        if name not in inputs or name not in sessions:
            continue
        with clock.measure(COMPONENT):
            fed = stirred(inputs[name])
            pair = session.run(fed), sessions[name].run(fed)
            found = checker.compare(name, *pair)
        yield from checker.checks(noisy, COMPONENT, name, found, pair)
        if not all(found.values()):
            checker.on_component_failure(name, fed)
