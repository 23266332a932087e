"""Boxes at known places, or a known class, must come back as they went in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.components import ComponentSpec, DynamicAxis
from awml_deploy_core.config.verification import TensorTolerance
from awml_deploy_core.detections import Detections
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import AwmlDeployError, ParameterError, TensorMismatchError
from awml_deploy_core.family import ModelFamily, Probe
from awml_deploy_core.runtime.session import Session, Tensors
from awml_deploy_core.verification.comparators import compare_results
from awml_deploy_core.verification.diagnosis import diagnose
from awml_deploy_core.verification.sample_checks import OutputComparator
from awml_deploy_core.verification.tensor_diagnosis import diagnose_tensor
from awml_deploy_core.verification.tensors import TensorComparator
from awml_deploy_core.verification.tolerances import (
    Box2dLimits,
    BoxLimits,
    ClassificationLimits,
    Tolerances,
)
from awml_deploy_core.verification.verdict import CheckResult, Status

PROBE = "probe"

LIMITS = BoxLimits(
    match_distance=0.5,
    min_iou=0.0,
    position=1e-3,
    size=1e-3,
    yaw=1e-4,
    velocity=1e-4,
    score=1e-5,
    max_borderline=0.0,
)
"""A decoder rounds to float32: at 200 m that is 2e-5 m."""

KNOWN = Tolerances(
    boxes=LIMITS,
    # A coordinate of 4000 px is rounded to 2e-4 px, and letterboxing multiplies that.
    boxes2d=Box2dLimits(match_iou=0.5, corner=1e-2, score=1e-5),
    classification=ClassificationLimits(probability=1e-6),
)
"""What results of each kind may differ by from what is known."""

_INPUTS = Tolerances(default=TensorTolerance(relative=1e-6))


@dataclass(frozen=True)
class ConstantSession:
    """A component that gives the same tensors whatever it is fed."""

    spec: ComponentSpec
    device: DeviceSpec
    outputs: Tensors
    backend: str = "probe"

    def run(self, inputs: Tensors) -> dict[str, Any]:
        """The constants; zeros, as long as the inputs' dynamic axes say, for tensors without one."""
        lengths = {
            axis.name: inputs[tensor.name].shape[place]
            for tensor in self.spec.inputs
            for place, axis in tensor.dynamic_axes.items()
        }
        return {
            tensor.name: np.array(self.outputs[tensor.name])
            if tensor.name in self.outputs
            else np.zeros(
                [
                    lengths.get(axis.name, axis.opt) if isinstance(axis, DynamicAxis) else axis
                    for axis in tensor.shape
                ],
                tensor.dtype,
            )
            for tensor in self.spec.outputs
        }

    def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True, eq=False)
class Decoder:
    """A configuration whose pipeline has to decode the probes."""

    name: str
    """Where the configuration comes from, e.g. the bundle's manifest."""
    config: Any
    device: DeviceSpec


def run_probes(
    family: ModelFamily[Any],
    probes: Sequence[Probe],
    decoders: Sequence[Decoder],
    output: OutputComparator | None = None,
) -> Iterator[CheckResult]:
    """Every probe through every decoder.

    Args:
        family: Makes the pipelines.
        probes: What goes in and must come back.
        decoders: What has to decode them.
        output: Compares what comes out; by default what compares the family's results, with the limits
            of :data:`KNOWN`.
    """
    comparator = output or compare_results(KNOWN, family)
    for decoder in decoders:
        for probe in probes:
            yield from _run(family, probe, decoder, comparator)


def _run(
    family: ModelFamily[Any], probe: Probe, decoder: Decoder, comparator: OutputComparator
) -> Iterator[CheckResult]:
    name = f"{PROBE} / {probe.name} / {decoder.name} on {decoder.device}"
    details = {"level": PROBE, "probe": probe.name, "decoder": decoder.name, "device": str(decoder.device)}
    sessions: dict[str, Session] = {
        spec.name: ConstantSession(spec, decoder.device, probe.outputs.get(spec.name, {}))
        for spec in family.component_specs(decoder.config)
    }
    try:
        with family.create_pipeline(decoder.config, sessions, probe.options) as pipeline:
            result, tap = pipeline.trace(probe.input)
    except (TensorMismatchError, ParameterError) as error:
        message = f"tensors of another form, or unknown classes: {error}"
        yield CheckResult(name, Status.FAILED, message, details=details)
        return
    except AwmlDeployError as error:
        yield CheckResult(name, Status.ERROR, str(error), details=details)
        return
    for component, tensors in probe.expected_inputs.items():
        fed = tap.inputs.get(component, {})
        yield _inputs_check(name, details, component, (tensors, fed), probe.channels)
    comparison = comparator.compare(probe.expected, result.output)
    if comparison and comparison.is_empty and probe.expected_inputs:
        return
    status, message = (Status.PASSED if comparison else Status.FAILED), comparison.message()
    if not comparison and isinstance(result.output, Detections):
        found = diagnose(probe.expected, result.output)
        message = "; ".join([*found, message])
        details["diagnosis"] = list(found)  # type: ignore[assignment]
    yield CheckResult(name, status, message, details={**details, **comparison.details})


def _inputs_check(
    name: str,
    details: Mapping[str, Any],
    component: str,
    pair: tuple[Tensors, Tensors],
    channels: Mapping[str, Sequence[str]],
) -> CheckResult:
    comparator = TensorComparator(_INPUTS)
    expected, actual = pair
    problems = []
    for tensor, values in expected.items():
        if tensor not in actual:
            problems.append(f"{tensor} was not fed")
            continue
        fed = _without_padding(actual[tensor], len(values))
        if not (found := comparator.compare(tensor, values, fed)):
            causes = diagnose_tensor(values, fed, channels=channels.get(tensor, ()))
            problems.append(f"{tensor}: {'; '.join([*causes, found.message()])}")
    status = Status.FAILED if problems else Status.PASSED
    message = "; ".join(problems) or f"{component} is fed with what the probe's input makes"
    return CheckResult(f"{name} / input of {component}", status, message, details=details)


def _without_padding(values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """The first rows of a tensor if all others are zero, as a component of a fixed size is fed."""
    return values if values[count:].any() else values[:count]
