"""What kind of mistake turns a reference tensor into the one that a test gave.

Only tensors that are already known to differ are looked at, and only mistakes that explain the
difference, i.e. leave a small part of it, are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

EXPLAINED = 0.05
"""Largest difference that a mistake may leave, over the largest that there was."""
_ROUNDING = 1e-4
"""Differences, over a channel's scale, below which it is right."""
_MOST_CHANNELS = 64
_MOST_NAMED = 8


def _sigmoid(values: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-values))
    return result


_FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "the sigmoid of the reference": _sigmoid,
    "the exponential of the reference": np.exp,
    "the logarithm of the reference": np.log,
    "the reference without its negative values": lambda values: np.maximum(values, 0),
}


def diagnose_tensor(
    reference: Array,
    test: Array,
    siblings: Mapping[str, Array] | None = None,
    channels: Sequence[str] = (),
) -> tuple[str, ...]:
    """Mistakes in plain words, each of which explains the difference; none if there is no such one.

    Args:
        reference: Any shape. Channels are axis 1 of four, else the last axis.
        test: Nothing is said of another shape, or of values that are not finite.
        siblings: Other outputs of the reference's component, by name, that may have been exchanged.
        channels: Names of the channels, where they have any.
    """
    if reference.shape != test.shape or reference.dtype.kind != "f" or not reference.size:
        return ()
    a, b = reference.astype(np.float64), test.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return ()
    limit = EXPLAINED * float(np.abs(a - b).max())
    with np.errstate(all="ignore"):
        found = tuple(_of_the_whole(a, b, limit, siblings or {}))
        return found or tuple(_of_channels(a, b, channels))


def _of_the_whole(a: Array, b: Array, limit: float, siblings: Mapping[str, Array]) -> Iterator[str]:
    if not b.any():
        yield "it is zero everywhere"
        return
    for name, other in siblings.items():
        if other.shape == a.shape and _equal(other, b, limit):
            yield f"it is the reference's {name}"
    for text, function in _FUNCTIONS.items():
        if _equal(function(a), b, limit):
            yield f"it is {text}"
    if a.ndim >= 2 and a.shape[-1] == a.shape[-2] and _equal(np.swapaxes(a, -1, -2), b, limit):
        yield "its last two axes are transposed"
    for axis in range(a.ndim):
        if a.shape[axis] > _MOST_CHANNELS and _equal(np.flip(a, axis), b, limit):
            yield f"axis {axis} is reversed"


def _equal(a: Array, b: Array, limit: float) -> bool:
    return bool(np.abs(a - b).max() <= limit)


def _of_channels(a: Array, b: Array, names: Sequence[str]) -> Iterator[str]:
    axis = 1 if a.ndim == 4 else a.ndim - 1
    count = a.shape[axis] if a.ndim else 0
    if not 0 < count <= _MOST_CHANNELS:
        return
    rows, columns = (np.moveaxis(side, axis, 0).reshape(count, -1) for side in (a, b))
    apart = np.abs(rows - columns).max(axis=1)
    scales = np.maximum(np.abs(rows).max(axis=1), np.abs(columns).max(axis=1))
    wrong = [int(i) for i in np.flatnonzero(apart > np.maximum(_ROUNDING * scales, 1e-12))]
    label = _Labels(names, count)
    signs: list[int] = []
    factors: dict[str, list[int]] = {}
    constants: dict[int, float] = {}
    places: dict[int, int] = {}
    rest: list[int] = []
    for channel in wrong:
        own, values, limit = rows[channel], columns[channel], EXPLAINED * float(apart[channel])
        shift, factor = float((values - own).mean()), _factor(own, values)
        source = _source(rows, values, wrong, limit)
        if _equal(-own, values, limit):
            signs.append(channel)
        elif _equal(own + shift, values, limit):
            constants[channel] = shift
        elif _equal(factor * own, values, limit):
            factors.setdefault(f"{factor:.4g}", []).append(channel)
        elif source is not None:
            places[channel] = source[0]
            signs += [channel] if source[1] < 0 else []
        else:
            rest.append(channel)
    yield from _moved(places, label)
    if signs:
        yield f"{label.of(signs)} {'has' if len(signs) == 1 else 'have'} the opposite sign"
    for text, found in factors.items():
        yield f"{label.of(found)} {'is' if len(found) == 1 else 'are'} {text} times the reference"
    if constants:
        added = ", ".join(f"{value:.4g}" for value in list(constants.values())[:_MOST_NAMED])
        yield f"a constant is added to {label.of(list(constants))}: {added}"
    if rest and len(rest) < count:
        yield f"{label.of(rest)} {'differs' if len(rest) == 1 else 'differ'}"


def _factor(own: Array, values: Array) -> float:
    """Of the reference that comes nearest to the values."""
    square = float(own @ own)
    return float(own @ values) / square if square else 0.0


def _source(rows: Array, values: Array, wrong: Sequence[int], limit: float) -> tuple[int, int] | None:
    """The reference's channel, and its sign, that the values are."""
    for sign in (1, -1):
        for source in wrong:
            if _equal(sign * rows[source], values, limit):
                return source, sign
    return None


def _moved(places: Mapping[int, int], label: _Labels) -> Iterator[str]:
    if len(places) == 2:
        (a, of_a), (b, of_b) = places.items()
        if (of_a, of_b) == (b, a):
            yield f"{label.each([a, b])} are swapped"
            return
    for place, source in places.items():
        yield f"{label.each([place])} is the reference's {label.each([source])}"


class _Labels:
    """How channels are called."""

    def __init__(self, names: Sequence[str], count: int) -> None:
        self._names = tuple(names) if len(names) == count else ()
        self._count = count

    def of(self, channels: Sequence[int]) -> str:
        """Such as ``channel 3``, ``channels 0 and 1``, ``time_lag`` or ``all channels``."""
        return "all channels" if len(channels) == self._count > 1 else self.each(channels)

    def each(self, channels: Sequence[int]) -> str:
        """Likewise, all of them too one by one."""
        found = [self._names[channel] if self._names else str(channel) for channel in channels]
        more = len(found) - _MOST_NAMED
        if more > 0:
            found = [*found[:_MOST_NAMED], f"{more} more"]
        text = found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
        return text if self._names else f"channel{'s' if len(found) > 1 else ''} {text}"
