from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from awml_deploy_core.config.verification import TensorTolerance
from awml_deploy_core.verification import TensorComparator, Tolerances

COMPARATOR = TensorComparator()
FINITE = hnp.arrays(
    np.float32,
    hnp.array_shapes(max_dims=3, max_side=5),
    elements=st.floats(-1e3, 1e3, width=32),
)


@given(FINITE)
def test_a_tensor_agrees_with_itself(values: np.ndarray) -> None:
    comparison = COMPARATOR.compare("t", values, values.copy())
    assert comparison
    assert comparison.max_abs == comparison.relative == comparison.statistics.p999 == 0


@given(FINITE, st.integers(0, 1000), st.floats(0.01, 100))
def test_one_wrong_value_is_found_where_it_is(values: np.ndarray, position: int, error: float) -> None:
    test = values.copy()
    flat = position % values.size
    test.flat[flat] += np.float32(error + 1e-3 * np.abs(values).max())
    comparison = COMPARATOR.compare("t", values, test)
    assert not comparison
    assert comparison.statistics.worst_index == tuple(np.unravel_index(flat, values.shape))


def test_relative_is_against_the_largest_reference_value() -> None:
    reference = np.array([0.0, 10.0], np.float32)
    comparison = COMPARATOR.compare("t", reference, reference + np.float32(5e-4))
    assert comparison
    assert comparison.relative == pytest.approx(5e-5, rel=0.01)


def test_reference_of_zeros_does_not_divide_by_zero() -> None:
    zeros = np.zeros(4, np.float32)
    assert COMPARATOR.compare("vel", zeros, zeros)
    assert COMPARATOR.compare("vel", zeros, zeros + np.float32(1e-12))
    assert not COMPARATOR.compare("vel", zeros, zeros + np.float32(1e-3))


@pytest.mark.parametrize(
    ("reference", "test", "expected"),
    [
        (np.zeros(3, np.float32), np.zeros(4, np.float32), "shape [4], reference [3]"),
        (np.zeros(3, np.float32), np.zeros(3, np.float64), "dtype float64, reference float32"),
        (np.ones(3, np.float32), np.array([1, np.nan, 1], np.float32), "1 of 3 values of the test are NaN"),
        (np.array([np.inf], np.float32), np.array([np.inf], np.float32), "of the reference are NaN"),
    ],
)
def test_differing_form_and_values_that_are_not_finite_fail(
    reference: np.ndarray, test: np.ndarray, expected: str
) -> None:
    comparison = COMPARATOR.compare("t", reference, test)
    assert not comparison
    assert expected in comparison.message()


def test_empty_tensors_agree() -> None:
    empty = np.zeros((0, 4), np.float32)
    comparison = COMPARATOR.compare("t", empty, empty)
    assert comparison
    assert comparison.message() == "empty on both sides"


def test_every_limit_is_checked_and_named() -> None:
    tolerance = TensorTolerance(relative=0.01, max_abs=0.1, mean_abs=0.05, min_cosine=0.999)
    comparator = TensorComparator(Tolerances(outputs={"t": tolerance}))
    comparison = comparator.compare("t", np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    for part in ("relative 1.00e+00 exceeds", "max_abs 1.00", "mean_abs 1.00", "cosine 0.000000 is below"):
        assert part in comparison.message()
    assert "worst at [0]: reference 1, test 0" in comparison.message()
    assert comparator.compare("other", np.array([1.0]), np.array([1.00005]))


@pytest.mark.parametrize("swapped", [False, True])
def test_a_tensor_of_zeros_has_no_direction_in_common_with_another(swapped: bool) -> None:
    comparator = TensorComparator(Tolerances(default=TensorTolerance(relative=None, min_cosine=0.99)))
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    comparison = comparator.compare("t", ones, zeros) if swapped else comparator.compare("t", zeros, ones)
    assert "cosine 0.000000 is below" in comparison.message()
    assert comparator.compare("t", zeros, zeros)


def test_integers_and_scalars_compare() -> None:
    assert COMPARATOR.compare("labels", np.array([1, 2]), np.array([1, 2]))
    assert not COMPARATOR.compare("labels", np.array([1, 2]), np.array([1, 3]))
    assert COMPARATOR.compare("scalar", np.array(2.0), np.array(2.0)).statistics.worst_index == ()


def test_values_that_are_not_finite_are_counted_and_the_others_compared() -> None:
    reference = np.array([1.0, np.nan, 3.0, 4.0], np.float32)
    test = np.array([1.0, 2.0, np.inf, 4.5], np.float32)
    comparison = COMPARATOR.compare("t", reference, test)
    details = comparison.details()
    assert (details["reference_nan"], details["test_inf"], details["test_nan"]) == (1, 1, 0)
    assert details["max_abs"] == pytest.approx(0.5)
    assert details["worst_index"] == [3]


def test_nothing_finite_leaves_no_statistics() -> None:
    nothing = np.full(3, np.nan, np.float32)
    comparison = COMPARATOR.compare("t", nothing, nothing)
    assert not comparison
    assert comparison.statistics is None


@given(FINITE, st.floats(-1, 1))
def test_quantiles_are_ordered_and_bounded(values: np.ndarray, shift: float) -> None:
    found = COMPARATOR.compare("t", values, values + np.float32(shift)).statistics
    assert 0 <= found.p50 <= found.p99 <= found.p999 <= found.max_abs
    assert found.mean_abs <= found.max_abs * (1 + 1e-12)


def test_a_constant_tensor_has_a_direction_and_a_scale() -> None:
    ones = np.full((2, 3), 7.0, np.float32)
    found = COMPARATOR.compare("t", ones, ones * np.float32(1 + 1e-6)).statistics
    assert found.cosine == pytest.approx(1)
    assert found.scale == 7


def test_one_outlier_breaks_the_maximum_and_not_the_quantile() -> None:
    comparator = TensorComparator(Tolerances(default=TensorTolerance(relative_p999=1e-3)))
    reference = np.ones(100_000, np.float32)
    test = reference.copy()
    test[5] = 2
    assert comparator.compare("t", reference, test)
    test[:200] = 2
    assert "relative_p999" in comparator.compare("t", reference, test).message()
