"""Ages that mean something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_ros.frame import INVALID_AGE, header_age

NOW = 1_700_000_000_000_000_000


def test_an_age_is_in_milliseconds() -> None:
    age = header_age(NOW - 25_000_000, NOW, simulated=False)
    assert age.valid
    assert age.milliseconds == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("stamp", "simulated"),
    [(NOW - 25_000_000, True), (0, False), (NOW + 1, False), (NOW - 61_000_000_000, False)],
    ids=["simulated time", "no stamp", "from the future", "another time base"],
)
def test_an_age_without_meaning_is_flagged(stamp: int, simulated: bool) -> None:
    assert header_age(stamp, NOW, simulated=simulated) == INVALID_AGE


@given(st.integers(0, 2 * NOW), st.integers(0, 2 * NOW), st.booleans())
def test_an_age_is_never_negative(stamp: int, now: int, simulated: bool) -> None:
    assert header_age(stamp, now, simulated=simulated).milliseconds >= 0
