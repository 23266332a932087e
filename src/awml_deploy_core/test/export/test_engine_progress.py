from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.export.engine_build import PhaseTree, _set_timings


def test_nested_phases_share_their_parents_step() -> None:
    tree = PhaseTree()
    tree.start("build", None, 2)
    tree.start("optimise", "build", 4)
    tree.step("optimise", 2)
    assert tree.percent() == 25
    tree.finish("optimise")
    tree.step("build", 1)
    assert tree.percent() == 50
    tree.step("build", 2)
    assert tree.percent() == 99


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.integers(0, 5))))
def test_the_percentage_never_falls(events: list[tuple[str, str, int]]) -> None:
    tree = PhaseTree()
    last = 0
    for name, parent, number in events:
        if number == 0:
            tree.finish(name)
        elif name < parent:
            tree.start(parent, name, number)
        else:
            tree.step(name, number)
        percent = tree.percent()
        assert last <= percent < 100
        last = percent


class Timings:
    """A timing cache as the builder's configuration makes and takes it."""

    def __init__(self, good: tuple[bytes, ...], made: tuple[bytes, ...]) -> None:
        self.good, self.made = good, made

    def create_timing_cache(self, content: bytes) -> bytes | None:
        return content if content in self.made else None

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        return cache in self.good


@pytest.mark.parametrize(
    ("good", "made", "taken"),
    [
        ((b"old", b""), (b"old", b""), b"old"),
        ((b"",), (b"old", b""), b""),
        ((b"",), (b"",), b""),
        ((), (), None),
    ],
)
def test_timings_of_another_gpu_or_damaged_ones_do_not_stop_a_build(
    good: tuple[bytes, ...], made: tuple[bytes, ...], taken: bytes | None
) -> None:
    config: Any = Timings(good, made)
    assert _set_timings(config, b"old") == taken
