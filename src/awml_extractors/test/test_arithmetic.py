"""The written sequences: accurate, and as IEEE 754 has special values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_functions import SPECIAL
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_extractors import arithmetic

MOST_ULP = 2.0


def ulp_error(values: Any, exact: Any) -> float:
    """Largest distance to long double values in units in the last place of float64."""
    unit = np.spacing(np.abs(exact.astype(np.float64)))
    return float((np.abs(values.astype(np.longdouble) - exact) / unit).max())


wide = pytest.mark.skipif(
    np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps,
    reason="long double is no wider than double here",
)


@wide
def test_exp_is_accurate_down_to_subnormal_results() -> None:
    x = np.concatenate([np.linspace(-745, 709.7, 50_001), np.linspace(-2, 2, 50_001)])
    assert ulp_error(arithmetic.exp(x), np.exp(x.astype(np.longdouble))) < MOST_ULP


@wide
def test_arctan2_is_accurate() -> None:
    rng = np.random.default_rng(0)
    y, x = (rng.normal(size=100_000) * 10.0 ** rng.integers(-5, 5, 100_000) for _ in range(2))
    exact = np.arctan2(y.astype(np.longdouble), x.astype(np.longdouble))
    assert ulp_error(arithmetic.arctan2(y, x), exact) < MOST_ULP


@wide
def test_cos_and_sin_are_accurate() -> None:
    angles = np.concatenate([np.linspace(-4, 4, 50_001), np.float32(np.pi) * np.array([1, -1, 0.5, 0.25])])
    cos, sin = arithmetic.cos_sin(angles)
    assert ulp_error(cos, np.cos(angles.astype(np.longdouble))) < MOST_ULP
    assert ulp_error(sin[angles != 0], np.sin(angles[angles != 0].astype(np.longdouble))) < MOST_ULP


def test_special_values_are_those_of_the_math_library() -> None:
    y, x = (grid.ravel() for grid in np.meshgrid(SPECIAL, SPECIAL))
    expected = np.arctan2(y, x)
    found = arithmetic.arctan2(y, x)
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_allclose(arithmetic.exp(SPECIAL), np.exp(SPECIAL), rtol=1e-15)
    assert np.isnan(arithmetic.cos_sin(np.array([np.inf, np.nan, 1e6]))).all()


@settings(max_examples=300, deadline=None)
@given(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False))
def test_a_yaw_turned_half_way_is_the_opposite_one(y: float, x: float) -> None:
    here, there = arithmetic.arctan2(np.array([y, -y]), np.array([x, -x]))
    assert abs(abs(here - there) - np.pi) < 1e-15
    assert abs(here) <= np.pi


@settings(max_examples=300, deadline=None)
@given(st.floats(-120, 120, width=32), st.floats(-120, 120, width=32))
def test_the_sigmoid_never_falls(a: float, b: float) -> None:
    low, high = arithmetic.sigmoid(np.sort(np.array([a, b], np.float32)))
    assert 0.0 <= low <= high <= 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_keep_their_shape_and_dtype(dtype: type) -> None:
    values = np.arange(12, dtype=dtype).reshape(3, 4).T
    for result in (arithmetic.exp(values), arithmetic.arctan2(values, values)):
        assert result.shape == (4, 3)
        assert result.dtype == dtype
    np.testing.assert_allclose(arithmetic.exp(values), np.exp(values), rtol=1e-6)
