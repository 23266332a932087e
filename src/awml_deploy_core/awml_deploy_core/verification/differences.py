"""What differs between two trees of settings, named by its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_MOST_SHOWN = 60


def differences(found: Any, wanted: Any, where: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, value found and value wanted of every leaf that differs; lists count as leaves.

    Args:
        found: A mapping, or a leaf.
        wanted: Likewise.
        where: Path of both, such as ``postprocess.decoder``.
    """
    if found == wanted:
        return
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in dict.fromkeys([*found, *wanted]):
            place = f"{where}.{key}" if where else str(key)
            yield from differences(found.get(key), wanted.get(key), place)
        return
    yield where, *_texts(found, wanted)


def _texts(found: Any, wanted: Any) -> tuple[str, str]:
    """Short texts of both; of long lists the first entry that differs."""
    if isinstance(found, list | tuple) and isinstance(wanted, list | tuple) and len(found) == len(wanted):
        place = next(i for i, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1])
        if len(repr(found)) > _MOST_SHOWN:
            return tuple(f"{_short(side[place])} at {place}" for side in (found, wanted))  # type: ignore[return-value]
    return _short(found), _short(wanted)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
