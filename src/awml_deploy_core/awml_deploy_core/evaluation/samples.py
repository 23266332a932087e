"""The samples of an evaluation, told apart without loading them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from awml_deploy_core.family import LazySamples, Sample
from awml_deploy_core.files import io_errors
from awml_deploy_core.verification.sampling import ChosenSamples


class _Positions(LazySamples):
    """As many samples as a source has, each nothing but its position."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def _load(self, index: int) -> Sample:
        return Sample(str(index), None)


@dataclass(frozen=True, eq=False)
class KeyedSamples:
    """A lazy sequence of samples and what tells each from all others of its sources."""

    samples: Sequence[Sample]
    keys: tuple[str, ...]

    @classmethod
    def choose(
        cls, sources: Sequence[tuple[str, Sequence[Sample]]], count: int = -1, seed: int = 0
    ) -> KeyedSamples:
        """As :class:`~awml_deploy_core.verification.sampling.ChosenSamples`.

        A key stays the same whatever the number chosen: it is the position in the source.
        """
        positions = [(name, _Positions(len(samples))) for name, samples in sources]
        keys = tuple(sample.sample_id for sample in ChosenSamples(positions, count, seed))
        return cls(ChosenSamples(sources, count, seed), keys)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Sample:
        """Load one sample."""
        return self.samples[index]


def source_fingerprint(source: str) -> str:
    """Hash of the names, sizes and times of a source's files: changes where its content does.

    Of an info file, the clouds that it names are taken to be what they were.

    Args:
        source: ``PATH``, ``PATH#topic`` or ``PATH?option``.

    Raises:
        ArtifactError: The files cannot be looked at.
    """
    path = Path(re.split("[#?]", source)[0])
    digest = hashlib.sha256(source.encode())
    with io_errors(path, "cannot be read"):
        for file in _files(path):
            stat = file.stat()
            digest.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(entry for entry in path.iterdir() if entry.is_file()) if path.is_dir() else [path]
    # Ground truth of a bag, beside it.
    yield from sorted(path.parent.glob(f"{path.name}.*"))
