"""The search of the fewest layer groups in FP32, and the choice of a variant."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.config.precision_schema import PrecisionSection
from awml_deploy_core.device import CPU
from awml_deploy_core.evaluation.task import AccuracyResult
from awml_deploy_core.precision.limits import judge, smallest
from awml_deploy_core.precision.mixed import shortest_prefix
from awml_deploy_core.precision.results import Agreement, Limit, Measurement, VariantResult
from awml_deploy_core.verification import Endpoint

HERE = Endpoint("onnxruntime", CPU)


@given(st.integers(2, 40), st.integers(1, 40))
def test_the_shortest_prefix_that_does(count: int, needed: int) -> None:
    tried: list[int] = []

    def attempt(kept: Any) -> tuple[int, bool]:
        assert list(kept) == list(range(len(kept)))
        tried.append(len(kept))
        return len(kept), len(kept) >= needed

    found = shortest_prefix(list(range(count)), attempt)
    assert len(tried) <= count.bit_length()
    if needed < count:
        assert found is not None
        assert (found.count, found.result, found.complete) == (needed, needed, True)
    else:
        assert found is None


def test_the_search_ends_when_the_time_is_over() -> None:
    calls = iter([False, True])
    found = shortest_prefix(range(16), lambda kept: (len(kept), True), lambda: next(calls))
    assert found is not None
    assert (found.count, found.complete) == (8, False)
    assert shortest_prefix(range(16), lambda kept: (0, True), lambda: True) is None
    assert shortest_prefix([], lambda kept: (0, True)) is None


def measurement(mean_ap: float | None, share: float = 1.0, **changes: Any) -> Measurement:
    accuracy = None
    if mean_ap is not None:
        accuracy = AccuracyResult(
            task="t", num_frames=1, headline="", figures={"mean_ap": mean_ap}, tables=()
        )
    missing = None if accuracy else "no sample has ground truth"
    return Measurement(
        HERE, accuracy=accuracy, accuracy_missing=missing, agreement=Agreement(1, share), **changes
    )


def keeps(section: PrecisionSection, own: Measurement, reference: Measurement) -> list[bool | None]:
    return [limit.keeps for limit in judge(section, own, reference)]


def test_limits() -> None:
    section = PrecisionSection(max_loss=0.02, min_agreement=0.9)
    full = measurement(0.8)
    assert keeps(section, measurement(0.785, 0.9), full) == [True, True]
    assert keeps(section, measurement(0.77, 0.89), full) == [False, False]
    assert keeps(section, measurement(0.9), full) == [True, True]
    assert keeps(section, measurement(None), full) == [None, True]
    assert keeps(section, measurement(0.8, failures=(("a", "NaN"),)), full) == [True, False]
    unknown = judge(PrecisionSection(figure="nds"), full, full)[0]
    assert unknown.keeps is None
    assert "mean_ap" in unknown.message


def variant(name: Any, size: int, *states: bool | None) -> VariantResult:
    limits = tuple(Limit("l", 0.0, None, state, "") for state in states)
    return VariantResult(name, size_bytes=size, limits=limits)


def test_the_smallest_that_keeps_the_limits_is_taken() -> None:
    variants = [
        variant("fp32", 8, True, True),
        variant("fp16", 4, True, None),
        variant("int8", 2, True, False),
    ]
    assert smallest(variants)[0] == "fp16"
    assert smallest(variants[2:])[0] is None
    # What nobody judged was not found to keep anything.
    assert smallest([variant("fp16", 4, None, None)])[0] is None
