"""From a precision study to records of the result model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from awml_deploy_core.config.precision_schema import PrecisionSection
from awml_deploy_core.precision.results import (
    Agreement,
    GroupSensitivity,
    Measurement,
    StudyResult,
    VariantResult,
)
from awml_deploy_core.reporting.precision_result import (
    LimitRecord,
    PrecisionRecord,
    SensitivityRecord,
    TensorErrorRecord,
    VariantAgreementRecord,
    VariantBackendRecord,
    VariantRecord,
)
from awml_deploy_core.reporting.verification_build import check_record

SHARED = (
    "The ranges of INT8 come from the samples that are measured on: give others with precision.calibration."
)


def precision_record(
    result: StudyResult,
    section: PrecisionSection,
    samples: Sequence[str],
    calibration: Sequence[str],
    written: Path | None,
) -> PrecisionRecord:
    """The record of a study.

    Args:
        result: What it found.
        section: What it was asked for.
        samples: Sources of what was measured on.
        calibration: Sources of the calibration.
        written: Folder of the written bundle.
    """
    verdict = result.verdict
    return PrecisionRecord(
        status=verdict.status.value,
        summary=verdict.summary(),
        samples=tuple(samples),
        num_samples=result.num_samples,
        calibration=tuple(calibration),
        num_calibration=result.num_calibration,
        figure=section.figure,
        variants=tuple(map(_variant, result.variants)),
        mixed_of=section.mixed_of,
        sensitivities=tuple(map(_sensitivity, result.sensitivities)),
        sensitivity_missing=result.sensitivity_missing,
        chosen=result.chosen,
        reason=result.reason,
        written=None if written is None else str(written),
        notes=(SHARED,) if set(samples) & set(calibration) else (),
        checks=tuple(map(check_record, result.checks)),
    )


def _variant(variant: VariantResult) -> VariantRecord:
    return VariantRecord(
        name=variant.name,
        missing=variant.missing,
        size_bytes=variant.size_bytes,
        fp32_groups=variant.fp32_groups,
        num_groups=variant.num_groups,
        keeps_limits=variant.keeps_limits,
        limits=tuple(LimitRecord(**asdict(limit)) for limit in variant.limits),
        backends=tuple(map(_backend, variant.measurements)),
        tensors=tuple(TensorErrorRecord(**asdict(error)) for error in variant.tensors),
    )


def _backend(measured: Measurement) -> VariantBackendRecord:
    return VariantBackendRecord(
        backend=str(measured.endpoint),
        missing=measured.missing,
        frames=measured.frames,
        seconds=measured.seconds,
        accuracy=measured.accuracy,
        accuracy_missing=measured.accuracy_missing,
        agreement=None if measured.agreement is None else _agreement(measured.agreement),
        agreement_missing=measured.agreement_missing,
        latency=measured.latency,
        latency_missing=measured.latency_missing,
    )


def _agreement(agreement: Agreement) -> VariantAgreementRecord:
    return VariantAgreementRecord.model_validate(asdict(agreement))


def _sensitivity(found: GroupSensitivity) -> SensitivityRecord:
    return SensitivityRecord(
        component=found.group.component,
        group=found.group.name,
        layers=found.group.layers,
        error=found.error,
        tensor=found.tensor,
        agreement=found.agreement,
    )
