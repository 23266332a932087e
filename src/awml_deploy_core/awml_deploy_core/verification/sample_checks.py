"""All checks of one sample in one scenario: what goes in, every component, what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from awml_deploy_core.family import Sample
from awml_deploy_core.pipeline import InferencePipeline, TensorTap
from awml_deploy_core.verification.boxes import OutputComparison
from awml_deploy_core.verification.tensors import TensorComparator
from awml_deploy_core.verification.verdict import CheckResult, Status

PREPROCESSING = "preprocessing"
OUTPUT = "output"

Arrays = Mapping[str, npt.NDArray[Any]]


class OutputComparator(Protocol):
    """Compares what two pipelines decoded from the same sample."""

    def compare(self, reference: Any, test: Any) -> OutputComparison:
        """Compare ``test`` with ``reference``."""
        ...


@dataclass(frozen=True)
class SampleChecker:
    """Runs one sample through both pipelines and compares every stage.

    Levels of a check: ``pipeline`` compares what both pipelines computed from the same cloud, so
    differences of earlier components are inherited; ``component`` feeds the test session with the
    reference's inputs, so only this component can differ. Where the inputs are bit-identical the
    two are the same and one check stands for both.
    """

    scenario: str
    tensors: TensorComparator
    output: OutputComparator
    required: bool = True

    def check(
        self,
        sample: Sample,
        reference: InferencePipeline[Any, Any],
        test: InferencePipeline[Any, Any],
    ) -> Iterator[CheckResult]:
        """Checks in the order of the data flow.

        Raises:
            AwmlDeployError: Either pipeline cannot process the sample.
        """
        expected, reference_tap = reference.trace(sample.input)
        actual, test_tap = test.trace(sample.input)
        sessions = {session.spec.name: session for session in test.sessions}
        components = _components(reference_tap, test_tap)
        if not components:
            message = "nothing to compare: no component ran, since no point of the sample is in range"
            yield self._nothing_to_compare(sample, message, {})
            return
        for index, name in enumerate(components):
            if name not in reference_tap.inputs or name not in test_tap.inputs:
                side = "reference" if name in reference_tap.inputs else "test"
                message = f"ran in the {side} only"
                yield self._result(sample, "pipeline", name, "", Status.FAILED, message, {})
                continue
            inputs, outputs = reference_tap.inputs[name], reference_tap.outputs[name]
            if index == 0:
                yield from self._compare(sample, "pipeline", PREPROCESSING, inputs, test_tap.inputs[name])
            yield from self._compare(sample, "pipeline", name, outputs, test_tap.outputs[name])
            if not _identical(inputs, test_tap.inputs[name]):
                alone = sessions[name].run(inputs)
                yield from self._compare(sample, "component", name, outputs, alone)
        comparison = self.output.compare(expected.output, actual.output)
        if comparison and comparison.is_empty:
            message = f"nothing to compare: {comparison.message()}"
            yield self._nothing_to_compare(sample, message, comparison.details)
            return
        status = Status.PASSED if comparison else Status.FAILED
        yield self._result(sample, "pipeline", OUTPUT, "", status, comparison.message(), comparison.details)

    def _nothing_to_compare(self, sample: Sample, message: str, figures: Mapping[str, Any]) -> CheckResult:
        """One such sample of many is no failure; the whole scenario judges whether any was compared."""
        skipped = self._result(sample, "pipeline", OUTPUT, "", Status.SKIPPED, message, figures)
        return replace(skipped, required=False)

    def _compare(
        self, sample: Sample, level: str, component: str, reference: Arrays, test: Arrays
    ) -> Iterator[CheckResult]:
        for name in reference:
            if name not in test:
                yield self._result(
                    sample, level, component, name, Status.FAILED, "is missing in the test", {}
                )
                continue
            comparison = self.tensors.compare(name, reference[name], test[name])
            status = Status.PASSED if comparison else Status.FAILED
            yield self._result(
                sample, level, component, name, status, comparison.message(), comparison.details()
            )

    def _result(
        self,
        sample: Sample,
        level: str,
        component: str,
        tensor: str,
        status: Status,
        message: str,
        figures: Mapping[str, Any],
    ) -> CheckResult:
        stage = f"{component}.{tensor}" if tensor else component
        suffix = " (component alone)" if level == "component" else ""
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


def _components(reference: TensorTap, test: TensorTap) -> list[str]:
    return list(dict.fromkeys([*reference.inputs, *test.inputs]))


def _identical(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
