"""Which frames the reference gets."""

from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_ros.shadow.sampler import Choice, Sampler
from awml_deploy_ros.shadow.settings import ShadowSettings

MS = 1_000_000


def choices(
    settings: ShadowSettings, frames: int, busy_s: float = 0.0, period_ms: int = 100
) -> list[Choice]:
    sampler = Sampler(settings)
    found = []
    for index in range(frames):
        now_ns = index * 100 * MS
        found.append(sampler.choose(now_ns, idle=True))
        if found[-1] is Choice.TAKEN:
            sampler.used(now_ns, busy_s)
    return found


def test_every_nth_frame() -> None:
    found = choices(ShadowSettings(every_n=3, max_rate_hz=100.0), 7)
    assert [choice is Choice.TAKEN for choice in found] == [True, False, False] * 2 + [True]


def test_not_more_often_than_the_rate() -> None:
    found = choices(ShadowSettings(every_n=1, max_rate_hz=2.0), 20)
    assert found.count(Choice.TAKEN) == 4


def test_a_busy_reference_is_counted_not_waited_for() -> None:
    sampler = Sampler(ShadowSettings(every_n=1, max_rate_hz=100.0))
    assert sampler.choose(0, idle=False) is Choice.BUSY
    assert sampler.choose(100 * MS, idle=True) is Choice.TAKEN


@given(st.floats(0.01, 3.0), st.floats(0.01, 1.0))
def test_the_share_is_kept(busy_s: float, share: float) -> None:
    frames = 400
    found = choices(ShadowSettings(every_n=1, max_rate_hz=100.0, max_share=share), frames, busy_s)
    # All but the last one's work lies within the share of the time.
    assert (found.count(Choice.TAKEN) - 1) * busy_s <= share * frames * 0.1 + 1e-6
