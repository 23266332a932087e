"""The functions of post-processing beyond + - * / and sqrt, as fixed sequences of those.

``exp``, ``arctan2``, ``cos`` and ``sin`` of a math library differ in the last bits between a CPU and
a GPU, and between versions. Here each is a sequence of IEEE 754 float64 operations, in a written
order and never contracted to fused multiply-adds, which ``device/kernels/arithmetic.cuh`` repeats
line by line: both give the same bits. Errors stay below two units in the last place of float64, so
that what is rounded to float32 is the nearest value or, near a tie, its neighbour.

Ranges are reduced as Cody and Waite do it (Software Manual for the Elementary Functions, 1980):
constants are split so that the products with whole numbers are exact. The reduced arguments are so
small that Taylor series do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from awml_extractors.jit import inlined, kernel, read_only, writable

LN2_HIGH, LN2_LOW = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")
LOG2_E = float.fromhex("0x1.71547652b82fep+0")
PI_HIGH, PI_LOW = float.fromhex("0x1.921fb54442d18p+1"), float.fromhex("0x1.1a62633145c07p-53")
HALF_PI_HIGH, HALF_PI_LOW = float.fromhex("0x1.921fb54442d18p+0"), float.fromhex("0x1.1a62633145c07p-54")
QUARTER_PI_HIGH, QUARTER_PI_LOW = (
    float.fromhex("0x1.921fb54442d18p-1"),
    float.fromhex("0x1.1a62633145c07p-55"),
)
QUARTER_TURN_HIGH = float.fromhex("0x1.921fb54400000p+0")
"""pi / 2 to 33 bits."""
QUARTER_TURN_LOW = float.fromhex("0x1.0b4611a626331p-34")
TWO_OVER_PI = float.fromhex("0x1.45f306dc9c883p-1")

EXP_OVERFLOW, EXP_UNDERFLOW = 709.79, -745.2
ANGLE_LIMIT = 1e5
"""Largest angle [rad] that ``cos_sin`` takes."""

TAN_EIGHTH_TURN = float.fromhex("0x1.a827999fcef32p-2")
"""tan(pi / 8)."""

E2, E3, E4, E5, E6, E7 = 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0
E8, E9, E10, E11 = 1.0 / 40320.0, 1.0 / 362880.0, 1.0 / 3628800.0, 1.0 / 39916800.0
E12, E13, E14 = 1.0 / 479001600.0, 1.0 / 6227020800.0, 1.0 / 87178291200.0
E15, E16, E17 = 1.0 / 1307674368000.0, 1.0 / 20922789888000.0, 1.0 / 355687428096000.0
"""1 / n!."""

A = tuple(
    float.fromhex(text)
    for text in (
        "0x1.5555555555555p-2",
        "0x1.9999999999953p-3",
        "0x1.249249248d7edp-3",
        "0x1.c71c71c304b25p-4",
        "0x1.745d165df329bp-4",
        "0x1.3b1392d9d0130p-4",
        "0x1.110e8808d52b6p-4",
        "0x1.e19a139427a48p-5",
        "0x1.ac7a9274c8714p-5",
        "0x1.74ddcf11bfbf7p-5",
        "0x1.1b33ac5ef371dp-5",
        "0x1.0ad34df8613e1p-6",
    )
)
"""Of 1 - arctan(u) / u = A[0] u^2 - A[1] u^4 + ..., interpolated at the Chebyshev nodes of u^2 in
[0, tan^2(pi / 8)]."""

Array = npt.NDArray[Any]


@inlined
def _nearest(value: Any) -> Any:
    """The nearest whole number, halves away from zero."""
    return np.int64(value + 0.5) if value >= 0.0 else np.int64(value - 0.5)


@inlined
def _power_of_two(exponent: Any) -> Any:
    return np.int64((exponent + 1023) << 52).view(np.float64)


@inlined
def exp_of(x: Any) -> Any:
    """e^x of a float64; infinite, zero or NaN where x is too great, too small or NaN."""
    if not x <= EXP_OVERFLOW:
        return x if x != x else np.inf
    if x < EXP_UNDERFLOW:
        return 0.0
    k = _nearest(x * LOG2_E)
    r = (x - np.float64(k) * LN2_HIGH) - np.float64(k) * LN2_LOW
    p = E13
    p = p * r + E12
    p = p * r + E11
    p = p * r + E10
    p = p * r + E9
    p = p * r + E8
    p = p * r + E7
    p = p * r + E6
    p = p * r + E5
    p = p * r + E4
    p = p * r + E3
    p = p * r + E2
    p = 1.0 + (r + (r * r) * p)
    half = k >> 1
    return (p * _power_of_two(half)) * _power_of_two(k - half)


@inlined
def sigmoid_of(logit: Any) -> Any:
    """float32 sigmoid of a float32 logit, rounded once from float64."""
    return np.float32(1.0 / (1.0 + exp_of(-np.float64(logit))))


@inlined
def arctan2_of(y: Any, x: Any) -> Any:
    """Angle [rad] of the point (x, y) in [-pi, pi], with the signs of zeros, as IEEE 754 has it.

    Magnitudes stay below 1e300.
    """
    flat, steep = abs(x), abs(y)
    low, high = (steep, flat) if steep < flat else (flat, steep)
    diagonal = low >= TAN_EIGHTH_TURN * high
    u = (low - high) / (low + high) if diagonal else low / high
    # Neither 0 / 0 nor inf - inf.
    u = 0.0 if low == high else u
    diagonal = diagonal and high > 0.0
    z = u * u
    p = A[11]
    p = p * z - A[10]
    p = p * z + A[9]
    p = p * z - A[8]
    p = p * z + A[7]
    p = p * z - A[6]
    p = p * z + A[5]
    p = p * z - A[4]
    p = p * z + A[3]
    p = p * z - A[2]
    p = p * z + A[1]
    p = p * z - A[0]
    u = u + ((u * z) * p + (QUARTER_PI_LOW if diagonal else 0.0))
    angle = (QUARTER_PI_HIGH if diagonal else 0.0) + u
    behind = np.copysign(1.0, x) < 0.0
    if flat < steep:
        angle = (HALF_PI_HIGH + (angle if behind else -angle)) + HALF_PI_LOW
    else:
        angle = (PI_HIGH - angle) + PI_LOW if behind else angle
    return np.copysign(angle, y)


@inlined
def cos_sin_of(angle: Any) -> Any:
    """Cosine and sine of an angle [rad] of at most :data:`ANGLE_LIMIT`; NaN for others."""
    if not abs(angle) <= ANGLE_LIMIT:
        return np.nan, np.nan
    k = _nearest(angle * TWO_OVER_PI)
    r = (angle - np.float64(k) * QUARTER_TURN_HIGH) - np.float64(k) * QUARTER_TURN_LOW
    z = r * r
    p = E17
    p = p * z - E15
    p = p * z + E13
    p = p * z - E11
    p = p * z + E9
    p = p * z - E7
    p = p * z + E5
    p = p * z - E3
    sin = r + (r * z) * p
    p = E16
    p = p * z - E14
    p = p * z + E12
    p = p * z - E10
    p = p * z + E8
    p = p * z - E6
    p = p * z + E4
    cos = 1.0 - (0.5 * z - (z * z) * p)
    quadrant = k & 3
    if quadrant == 0:
        return cos, sin
    if quadrant == 1:
        return -sin, cos
    if quadrant == 2:
        return -cos, -sin
    return sin, -cos


@kernel(read_only(types.float64), writable(types.float64))
def _exp(values: Any, out: Any) -> None:
    for i in range(len(values)):
        out[i] = exp_of(values[i])


@kernel(read_only(types.float32), writable(types.float32))
def _sigmoid(values: Any, out: Any) -> None:
    for i in range(len(values)):
        out[i] = sigmoid_of(values[i])


@kernel(read_only(types.float64), read_only(types.float64), writable(types.float64))
def _arctan2(y: Any, x: Any, out: Any) -> None:
    for i in range(len(y)):
        out[i] = arctan2_of(y[i], x[i])


@kernel(read_only(types.float64), writable(types.float64, 2))
def _cos_sin(angles: Any, out: Any) -> None:
    for i in range(len(angles)):
        out[0, i], out[1, i] = cos_sin_of(angles[i])


def exp(values: Array) -> Array:
    """e^x in float64, in the dtype of the values."""
    flat = _flat(values)
    out = np.empty_like(flat)
    _exp(flat, out)
    return _shaped(out, values)


def sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 sigmoid, rounded once from float64."""
    flat = np.ascontiguousarray(logits, np.float32).reshape(-1)
    out = np.empty_like(flat)
    _sigmoid(flat, out)
    return out.reshape(logits.shape)


def arctan2(y: Array, x: Array) -> Array:
    """Angle [rad] of the points (x, y) of one shape, computed in float64, in the dtype of y."""
    flat = _flat(y)
    out = np.empty_like(flat)
    _arctan2(flat, _flat(x), out)
    return _shaped(out, y)


def cos_sin(angles: Array) -> npt.NDArray[np.float64]:
    """float64 ``[2, N]``: cosines and sines of angles ``[N]`` [rad]."""
    flat = _flat(angles)
    out = np.empty((2, len(flat)))
    _cos_sin(flat, out)
    return out


def _flat(values: Array) -> npt.NDArray[np.float64]:
    return np.ascontiguousarray(values, np.float64).reshape(-1)


def _shaped(values: npt.NDArray[np.float64], like: Array) -> Array:
    with np.errstate(over="ignore"):
        return values.reshape(np.shape(like)).astype(like.dtype, copy=False)
