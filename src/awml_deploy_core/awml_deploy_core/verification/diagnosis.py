"""What kind of mistake turns the boxes that went in into those that came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections

Array = npt.NDArray[Any]
Hypothesis = Callable[[Array], Array]

_HALF = np.pi / 2


def _logistic(values: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-values))
    return result


_YAWS: Mapping[str, Hypothesis] = {
    "the yaw has the opposite sign": lambda yaw: -yaw,
    "the yaw is turned by half a turn": lambda yaw: yaw + np.pi,
    "the yaw is a quarter turn too far": lambda yaw: yaw + _HALF,
    "the yaw is a quarter turn short": lambda yaw: yaw - _HALF,
    "the yaw is -yaw - pi/2, that is in the convention of Autoware's head": lambda yaw: -yaw - _HALF,
    "the yaw is pi/2 - yaw, that is sine and cosine are swapped": lambda yaw: _HALF - yaw,
    "the yaw is pi - yaw, that is the cosine has the opposite sign": lambda yaw: np.pi - yaw,
}
_SIZES: Mapping[str, Hypothesis] = {
    "length and width are swapped": lambda size: size[:, [1, 0, 2]],
    "width and height are swapped": lambda size: size[:, [0, 2, 1]],
    "length and height are swapped": lambda size: size[:, [2, 1, 0]],
    "length, width, height are rotated by one": lambda size: size[:, [1, 2, 0]],
    "length, width, height are rotated by two": lambda size: size[:, [2, 0, 1]],
    "sizes are logarithms": np.log,
}
_VELOCITIES: Mapping[str, Hypothesis] = {
    "vx and vy are swapped": lambda v: v[:, ::-1],
    "vx has the opposite sign": lambda v: v * [-1, 1],
    "vy has the opposite sign": lambda v: v * [1, -1],
    "velocities have the opposite sign": lambda v: -v,
    "velocities are missing": lambda v: v * 0,
}
_SCORES: Mapping[str, Hypothesis] = {
    "the sigmoid is applied twice": _logistic,
    "scores are logits, without sigmoid": lambda score: np.log(score / (1 - score)),
}


def diagnose(expected: Detections, actual: Detections, rtol: float = 2e-3) -> tuple[str, ...]:
    """Mistakes, in plain words, each of which explains a whole column of differences.

    The boxes are paired by their order, which is that of their scores: a probe gives every box its own
    score. Nothing is said where the numbers of boxes differ.

    Args:
        expected: Boxes as they went in, best score first.
        actual: Boxes as they came out.
        rtol: How exactly a mistake has to explain a column.
    """
    if len(expected) != len(actual) or not len(expected):
        return ()
    return tuple(_findings(expected, actual, rtol))


def _findings(expected: Detections, actual: Detections, rtol: float) -> Iterator[str]:
    def same(a: Array, b: Array) -> bool:
        return bool(np.allclose(a, b, rtol=rtol, atol=rtol))

    def same_angle(a: Array, b: Array) -> bool:
        return bool(np.abs(np.angle(np.exp(1j * (a - b)))).max() <= rtol)

    def first(hypotheses: Mapping[str, Hypothesis], a: Array, b: Array, equal: Any) -> Iterator[str]:
        if equal(a, b):
            return
        with np.errstate(all="ignore"):
            yield from (text for text, change in hypotheses.items() if equal(change(a), b))

    centers, found = expected.centers.astype(np.float64), actual.centers.astype(np.float64)
    yield from _positions(centers, found, expected.sizes[:, 2].astype(np.float64), same)
    columns = ((_SIZES, "sizes", same), (_YAWS, "yaws", same_angle))
    for hypotheses, name, equal in (*columns, (_VELOCITIES, "velocities", same), (_SCORES, "scores", same)):
        a, b = (getattr(side, name).astype(np.float64) for side in (expected, actual))
        yield from first(hypotheses, a, b, equal)
    yield from _classes(expected, actual)


def _positions(a: Array, b: Array, heights: Array, same: Any) -> Iterator[str]:
    if not same(a[:, :2], b[:, :2]):
        if same(a[:, 1::-1], b[:, :2]):
            yield "x and y are swapped"
        else:
            for axis, name in enumerate("xy"):
                yield from _line(a[:, axis], b[:, axis], name, same)
    for sign, text in ((-1, "the bottom"), (1, "the top")):
        if not same(a[:, 2], b[:, 2]) and same(a[:, 2] + sign * heights / 2, b[:, 2]):
            yield f"z is that of {text} of the boxes, not of their centre"


def _line(a: Array, b: Array, name: str, same: Any) -> Iterator[str]:
    """A scale and an offset that explain a coordinate."""
    if same(a, b) or np.ptp(a) == 0:
        return
    scale, offset = np.polyfit(a, b, 1)
    # Offsets within a cell are scaled as well or not, so the line is only nearly exact.
    if np.abs(scale * a + offset - b).max() > 1e-2 * np.ptp(a):
        return
    parts = [f"{name} is"]
    parts += [f"scaled by {scale:.4g}"] if abs(scale - 1) > 1e-3 else []
    parts += [f"shifted by {offset:.4g} m"] if abs(offset) > 1e-3 else []
    if len(parts) > 1:
        yield " ".join(parts)


def _classes(expected: Detections, actual: Detections) -> Iterator[str]:
    names = [[side.class_names[label] for label in side.labels.tolist()] for side in (expected, actual)]
    changes = dict.fromkeys(pair for pair in zip(*names, strict=True) if pair[0] != pair[1])
    if changes:
        yield "classes changed: " + ", ".join(f"{a} became {b}" for a, b in changes)
