from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.evaluation.stability import frames_needed, percentile_interval


@pytest.mark.parametrize(("percentile", "count"), [(50.0, 40), (95.0, 200), (99.0, 500)])
def test_the_interval_covers_the_true_percentile_as_often_as_it_says(percentile: float, count: int) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        found = percentile_interval(rng.uniform(1.0, 2.0, count), percentile, 0.9)
        low, high = found.low or 0.0, found.high or 9.0
        covered += low <= 1 + percentile / 100 <= high
    assert covered >= 885


@given(st.sampled_from([50.0, 90.0, 95.0, 99.0, 5.0]), st.sampled_from([0.8, 0.95, 0.99]))
def test_both_ends_are_known_from_the_needed_frames_on(percentile: float, confidence: float) -> None:
    needed = frames_needed(percentile, confidence)
    values = np.random.default_rng(1).exponential(size=needed) + 1.0
    enough = percentile_interval(values, percentile, confidence)
    assert enough.low is not None
    assert enough.high is not None
    assert enough.low <= enough.value <= enough.high
    few = percentile_interval(values[: needed - 1], percentile, confidence)
    assert few.half_width() is None


def test_a_percentile_of_one_value_is_not_known() -> None:
    found = percentile_interval(np.array([3.0]), 95.0, 0.95)
    assert (found.value, found.low, found.high) == (3.0, None, None)
