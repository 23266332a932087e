"""Ages that mean something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_ros.frame import header_age, transport

NOW = 1_700_000_000_000_000_000


def test_an_age_is_in_milliseconds() -> None:
    age = header_age(NOW - 25_000_000, NOW, simulated=False)
    assert age.valid
    assert age.milliseconds == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("stamp", "simulated", "jumped", "problem"),
    [
        (NOW - 25_000_000, True, False, "simulated time"),
        (0, False, False, "no stamp"),
        (NOW + 1, False, False, "the stamp is in the future"),
        (NOW - 25_000_000, False, True, "the clock jumped"),
        (NOW - 61_000_000_000, False, False, "more than a minute: another time base"),
    ],
)
def test_an_age_without_meaning_is_flagged(stamp: int, simulated: bool, jumped: bool, problem: str) -> None:
    age = header_age(stamp, NOW, simulated=simulated, jumped=jumped)
    assert (age.milliseconds, age.valid, age.problem) == (0.0, False, problem)


@given(st.integers(0, 2 * NOW), st.integers(0, 2 * NOW), st.booleans())
def test_an_age_is_never_negative(stamp: int, now: int, simulated: bool) -> None:
    assert header_age(stamp, now, simulated=simulated).milliseconds >= 0


def test_transport_needs_a_time_of_publication_in_the_same_time_base() -> None:
    assert transport(NOW - 5_000_000, NOW).milliseconds == pytest.approx(5.0)
    assert not transport(0, NOW).valid
    assert not transport(NOW + 1, NOW).valid
    assert not transport(NOW - 61_000_000_000, NOW).valid
