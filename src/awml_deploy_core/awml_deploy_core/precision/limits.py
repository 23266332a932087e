"""Which variants keep what was asked for, and which of them is taken."""

from __future__ import annotations

from collections.abc import Sequence

from awml_deploy_core.config.precision_schema import PrecisionSection, VariantName
from awml_deploy_core.precision.results import Limit, Measurement, VariantResult

REFERENCE: VariantName = "fp32"


def judge(section: PrecisionSection, measured: Measurement, reference: Measurement) -> tuple[Limit, ...]:
    """The limits of a variant, those that could not be measured included."""
    return _loss(section, measured, reference), _agreement(section, measured)


def _loss(section: PrecisionSection, measured: Measurement, reference: Measurement) -> Limit:
    figure, limit = section.figure, section.max_loss
    name = f"loss of {figure}"
    missing = measured.missing or measured.accuracy_missing
    if measured.accuracy is None or reference.accuracy is None:
        return Limit(name, limit, None, None, f"not measured: {missing or reference.accuracy_missing}")
    own, full = (item.figures.get(figure) for item in (measured.accuracy, reference.accuracy))
    if own is None or full is None:
        known = ", ".join(sorted(reference.accuracy.figures)) or "none"
        return Limit(name, limit, None, None, f"not measured: there is no {figure} (measured: {known})")
    loss = full - own
    keeps = loss <= limit
    relation = "within" if keeps else "exceeds"
    return Limit(
        name, limit, loss, keeps, f"{figure} {own:.4f}, FP32 {full:.4f}: loss {relation} {limit:g}"
    )


def _agreement(section: PrecisionSection, measured: Measurement) -> Limit:
    name, limit = "agreement", section.min_agreement
    found = measured.agreement
    if found is None:
        reason = measured.missing or measured.agreement_missing
        return Limit(name, limit, None, None, f"not measured: {reason}")
    if measured.failures:
        sample, problem = measured.failures[0]
        return Limit(
            name, limit, found.share, False, f"{len(measured.failures)} failed, {sample}: {problem}"
        )
    keeps = found.share >= limit
    relation = "at least" if keeps else "below"
    return Limit(name, limit, found.share, keeps, f"{found.share:.4f} is {relation} {limit:g}")


def smallest(variants: Sequence[VariantResult]) -> tuple[VariantName | None, str]:
    """The smallest variant that keeps the limits, the faster one of two of a size; and why."""
    fitting = [variant for variant in variants if variant.keeps_limits]
    if not fitting:
        return None, "no variant keeps the limits"
    best = min(fitting, key=lambda variant: (variant.size_bytes or 0, _p50(variant)))
    return best.name, f"the smallest of {len(fitting)} that keep the limits"


def _p50(variant: VariantResult) -> float:
    first = variant.measurements[0].latency if variant.measurements else None
    return float("inf") if first is None else first.end_to_end.p50
