"""Which samples are compared."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from awml_deploy_core.family import LazySamples, Sample


def source_names(sources: Sequence[str]) -> list[str]:
    """What tells sources (``PATH``, ``PATH#topic``) apart in sample ids: the name of the file or folder.

    Sources that share it are named in full.
    """
    short = [Path(re.split("[#?]", source)[0]).name for source in sources]
    return [name if short.count(name) == 1 else full for name, full in zip(short, sources, strict=True)]


class ChosenSamples(LazySamples):
    """Samples of several sources as one lazy sequence, all or a repeatable random choice.

    Args:
        sources: Name and samples of every source. With more than one, names prefix sample ids.
        count: How many to choose; -1 is all. The choice keeps the order of the sources.
        seed: The same seed and sources give the same choice.
    """

    def __init__(
        self, sources: Sequence[tuple[str, Sequence[Sample]]], count: int = -1, seed: int = 0
    ) -> None:
        self._sources = tuple(sources)
        places = [(s, i) for s, (_, samples) in enumerate(self._sources) for i in range(len(samples))]
        if 0 <= count < len(places):
            places = sorted(random.Random(seed).sample(places, count))
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def _load(self, index: int) -> Sample:
        source, position = self._places[index]
        name, samples = self._sources[source]
        sample = samples[position]
        if len(self._sources) == 1:
            return sample
        return replace(sample, sample_id=f"{name}/{sample.sample_id}")
