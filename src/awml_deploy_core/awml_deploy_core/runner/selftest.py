"""The first thing to run in a vehicle: known inputs, recorded outputs, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.artifacts.references import (
    Reference,
    inputs_digest,
    known_inputs,
    read_reference,
    sampled,
)
from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.progress import Progress, no_progress
from awml_deploy_core.reporting.engines import SelftestCheckRecord, SelftestLatencyRecord, SelftestRecord
from awml_deploy_core.runner.engines import build_engines
from awml_deploy_core.runtime import Session, SessionOptions, load_backend
from awml_deploy_core.runtime.trt.session import NAME as TENSORRT
from awml_deploy_core.runtime.trt.settings import EngineSettings
from awml_deploy_core.verification import CheckResult, Endpoint, Status, Verdict
from awml_deploy_core.verification.bundle_checks import recorded_precision

RUNS = 50
"""Timed runs of a component."""

_WARM_UP = 3
_MIN_RUNS, _MAX_MILLISECONDS = 3, 20e3
"""A component that takes seconds is not run longer than this, if it ran so often."""
_FULL_PRECISION = 1e-4
LIMITS: Mapping[str, float] = {"fp32": _FULL_PRECISION, "tf32": 5e-3, "fp16": 2e-2, "int8": 1e-1}
"""Largest difference over the largest magnitude of an output, by the precision of files and engine."""


class Selftest:
    """Runs every component of a bundle in every backend that is asked for.

    Args:
        bundle: The bundle.
        settings: Of the engines, which are built if they are not there.
        runs: Timed runs of a component; fewer of one that takes seconds.
        progress: Told how far it is.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        settings: EngineSettings,
        *,
        runs: int = RUNS,
        progress: Progress = no_progress,
    ) -> None:
        self._bundle = bundle
        self._settings = settings
        self._runs = runs
        self._progress = progress

    def run(self, endpoints: Sequence[Endpoint]) -> SelftestRecord:
        """Test every endpoint; one that cannot run here is skipped with its reason, which is no pass.

        What fails becomes a check with status ``error``, and the next endpoint follows.
        """
        checks: list[CheckResult] = []
        latencies: list[SelftestLatencyRecord] = []
        for endpoint in endpoints:
            try:
                checks += self._endpoint(endpoint, latencies)
            except AwmlDeployError as error:
                checks.append(CheckResult(str(endpoint), Status.ERROR, str(error)))
        verdict = Verdict(checks)
        return SelftestRecord(
            status=verdict.status.value,
            summary=verdict.summary(),
            checks=tuple(
                SelftestCheckRecord(name=check.name, status=check.status.value, message=check.message)
                for check in checks
            ),
            latencies=tuple(latencies),
        )

    def _endpoint(self, endpoint: Endpoint, latencies: list[SelftestLatencyRecord]) -> list[CheckResult]:
        backend = load_backend(endpoint.backend)
        state = backend.availability(endpoint.device)
        if not state:
            hint = f". {state.hint}" if state.hint else ""
            return [CheckResult(str(endpoint), Status.SKIPPED, f"{state.detail}{hint}")]
        checks: list[CheckResult] = []
        limit, extra = LIMITS[recorded_precision(self._bundle.manifest)], dict[str, Any]()
        if endpoint.backend == TENSORRT:
            settings = self._settings
            build_engines(
                self._bundle, settings, device_index=endpoint.device.index, progress=self._progress
            )
            limit = max(limit, LIMITS[settings.policy.precision])
            extra = {TENSORRT: {"library": settings.library, "precision": settings.policy.precision}}
        for index, source in enumerate(self._bundle.sources()):
            session = backend.open_session(source, endpoint.device, SessionOptions(extra=extra))
            try:
                checks += self._component(session, endpoint, limit, latencies)
            finally:
                session.close()
            self._progress(f"selftest {endpoint}", index + 1, len(self._bundle.specs))
        return checks

    def _component(
        self,
        session: Session,
        endpoint: Endpoint,
        limit: float,
        latencies: list[SelftestLatencyRecord],
    ) -> list[CheckResult]:
        spec, prefix = session.spec, f"{endpoint} {session.spec.name}"
        inputs = known_inputs(spec)
        outputs = session.run(inputs)
        repeated = session.run(inputs)
        same = all(np.array_equal(outputs[name], repeated[name]) for name in outputs)
        checks = [
            CheckResult(
                f"{prefix}: repeat",
                Status.PASSED if same else Status.FAILED,
                "bit-identical" if same else "two runs on the same inputs differ",
            )
        ]
        checks += self._compare(spec, prefix, endpoint, inputs, outputs, limit)
        for _ in range(_WARM_UP):
            session.run(inputs)
        times: list[float] = []
        while len(times) < self._runs and (len(times) < _MIN_RUNS or sum(times) < _MAX_MILLISECONDS):
            start = time.perf_counter_ns()
            session.run(inputs)
            times.append((time.perf_counter_ns() - start) * 1e-6)
        p50, p95 = (float(value) for value in np.percentile(times, (50, 95)))
        latencies.append(
            SelftestLatencyRecord(
                backend=str(endpoint),
                component=spec.name,
                runs=len(times),
                p50=p50,
                p95=p95,
                max=max(times),
            )
        )
        return checks

    def _compare(
        self,
        spec: ComponentSpec,
        prefix: str,
        endpoint: Endpoint,
        inputs: dict[str, Any],
        outputs: Mapping[str, Any],
        limit: float,
    ) -> list[CheckResult]:
        reference = read_reference(self._bundle.folder, spec.name)
        origin = "recorded"
        if reference is None:
            if endpoint == Endpoint("onnxruntime", CPU):
                reason = "the bundle has no recorded outputs to compare with"
                return [CheckResult(f"{prefix}: outputs", Status.SKIPPED, reason)]
            reference, origin = self._from_onnxruntime(spec, inputs), "ONNX Runtime's"
        if reference.inputs_sha256 != inputs_digest(spec, inputs):
            reason = "this machine generates other known inputs than those the outputs were recorded for"
            return [CheckResult(f"{prefix}: outputs", Status.ERROR, reason)]
        return [
            _compare(
                f"{prefix}: {tensor.name}", tensor.name, reference, outputs[tensor.name], limit, origin
            )
            for tensor in spec.outputs
        ]

    def _from_onnxruntime(self, spec: ComponentSpec, inputs: dict[str, Any]) -> Reference:
        """The reference of a bundle that ships none."""
        (source,) = (source for source in self._bundle.sources() if source.spec.name == spec.name)
        session = load_backend("onnxruntime").open_session(source, CPU, SessionOptions())
        try:
            return Reference.of(spec, inputs, session.run(inputs))
        finally:
            session.close()


def _compare(
    title: str, name: str, reference: Reference, output: Any, limit: float, origin: str
) -> CheckResult:
    shape = reference.shapes.get(name)
    if shape != output.shape:
        message = f"shape {list(output.shape)}, {origin} {list(shape) if shape else 'none'}"
        return CheckResult(title, Status.FAILED, message)
    values, expected = sampled(output), reference.values[name]
    if bad := int(values.size - np.isfinite(values).sum()):
        return CheckResult(title, Status.FAILED, f"{bad} of {values.size} values are NaN or infinite")
    difference = float(np.abs(values - expected).max(initial=0)) / max(reference.largest[name], 1e-6)
    passed = difference <= limit
    relation = "within" if passed else "exceeds"
    message = f"relative difference to {origin} outputs {difference:.1e}, {relation} {limit:.0e}"
    return CheckResult(title, Status.PASSED if passed else Status.FAILED, message)
