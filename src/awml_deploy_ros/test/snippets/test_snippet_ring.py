"""The last seconds."""

from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_ros.snippets.ring import HeldMessage, MessageRing

S = 1_000_000_000


def held(second: float, size: int = 1) -> HeldMessage:
    return HeldMessage("/t", second, round(second * S), 0, size)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), max_size=80))
def test_seconds_and_bytes_are_bounded(steps: list[tuple[float, int]]) -> None:
    ring = MessageRing(3.0, 200)
    now = 0.0
    for step, size in steps:
        now += step
        ring.add(held(now, size))
        kept = ring.between(0, round(now * S))
        assert ring.size == sum(message.size for message in kept) <= 200
        assert all(message.arrival_ns >= round(now * S) - 3 * S for message in kept)
        assert kept[-1].message == now


def test_latched_messages_stay_and_come_first() -> None:
    ring = MessageRing(1.0, 100)
    ring.latch(held(0.0))
    for second in (5.0, 5.5, 6.0):
        ring.add(held(second))
    assert [m.message for m in ring.between(round(5.4 * S), 6 * S)] == [0.0, 5.5, 6.0]
    ring.clear()
    assert ring.between(0, 10 * S) == []
    assert ring.size == 0
