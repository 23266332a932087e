from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.family import Sample
from awml_deploy_core.verification.sampling import ChosenSamples, source_names


class Lazy(Sequence[Sample]):
    def __init__(self, count: int) -> None:
        self.count = count
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Any) -> Any:
        self.loaded.append(index)
        return Sample(str(index), None)


def ids(samples: Sequence[Sample]) -> list[str]:
    return [samples[i].sample_id for i in range(len(samples))]


@given(st.integers(0, 20), st.integers(0, 20), st.integers(-1, 50), st.integers(0, 5))
def test_choice_is_repeatable_ordered_and_of_the_asked_size(a: int, b: int, count: int, seed: int) -> None:
    sources = [("a", Lazy(a)), ("b", Lazy(b))]
    chosen = ids(ChosenSamples(sources, count, seed))
    assert chosen == ids(ChosenSamples(sources, count, seed))
    assert len(chosen) == len(set(chosen)) == (a + b if count < 0 else min(count, a + b))
    everything = ids(ChosenSamples(sources))
    assert sorted(chosen, key=everything.index) == chosen


def test_samples_load_when_indexed() -> None:
    lazy = Lazy(100)
    chosen = ChosenSamples([("bag", lazy)], 3, 1)
    assert lazy.loaded == []
    assert chosen[0].sample_id == str(lazy.loaded[0])
    assert len(chosen[:2]) == 2


def test_names_tell_equal_ids_of_several_sources_apart() -> None:
    assert ids(ChosenSamples([("day", Lazy(1)), ("night", Lazy(1))])) == ["day/0", "night/0"]


def test_sources_are_named_by_their_file_or_in_full_where_that_repeats() -> None:
    assert source_names(["/data/day#/lidar/points", "/data/night/0.bin?format=kitti"]) == ["day", "0.bin"]
    twins = ["/a/bag", "/b/bag", "/c/bag#/rear", "/c/other"]
    assert source_names(twins) == [*twins[:3], "other"]
