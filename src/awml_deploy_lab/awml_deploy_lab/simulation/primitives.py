"""The solids that everything in a scene is built from.

A body is a rigid composite of primitives in its own frame: origin on the ground below the centre of
its bounding box, x forward, y left, z up. Three kinds of primitives are enough for a street:

- a tapered box: a box whose four walls lean inwards with height (a windscreen, a bonnet, a bus),
- an ellipsoid (a wheel, a head, foliage),
- an upright elliptic cylinder (a pole, a leg, a trunk).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TAPERED_BOX, ELLIPSOID, CYLINDER = 0, 1, 2

PRIMITIVE_WIDTH = 14
"""Columns of a primitive's row: kind, centre x, y, z, cos and sin of its yaw, half sizes a, b, c, taper at
the front, back and sides [m of inset a m of height], reflectivity [0, 1], transmittance [0, 1]."""

TYRE = 0.12
"""Reflectivity of rubber."""

Row = tuple[float, ...]


def box(
    x: tuple[float, float],
    y: tuple[float, float],
    z: tuple[float, float],
    *,
    taper: tuple[float, float, float] = (0.0, 0.0, 0.0),
    reflectivity: float = 0.4,
    transmittance: float = 0.0,
    yaw: float = 0.0,
) -> Row:
    """A tapered box from the extents of its bottom, turned by ``yaw`` about its centre."""
    return (
        *(
            TAPERED_BOX,
            (x[0] + x[1]) / 2,
            (y[0] + y[1]) / 2,
            (z[0] + z[1]) / 2,
            math.cos(yaw),
            math.sin(yaw),
        ),
        *((x[1] - x[0]) / 2, (y[1] - y[0]) / 2, (z[1] - z[0]) / 2, *taper, reflectivity, transmittance),
    )


def ellipsoid(
    center: tuple[float, float, float],
    half: tuple[float, float, float],
    *,
    reflectivity: float = 0.4,
    transmittance: float = 0.0,
) -> Row:
    """An ellipsoid from its half axes along x, y, z."""
    return (ELLIPSOID, *center, 1.0, 0.0, *half, 0.0, 0.0, 0.0, reflectivity, transmittance)


def cylinder(
    center: tuple[float, float],
    half: tuple[float, float],
    z: tuple[float, float],
    *,
    reflectivity: float = 0.4,
    transmittance: float = 0.0,
) -> Row:
    """An upright cylinder from the half axes of its base and its extent in z."""
    middle, rise = (z[0] + z[1]) / 2, (z[1] - z[0]) / 2
    return (
        *(CYLINDER, *center, middle, 1.0, 0.0, *half, rise),
        *(0.0, 0.0, 0.0, reflectivity, transmittance),
    )


@dataclass(frozen=True, eq=False)
class Body:
    """A rigid composite of primitives."""

    size: tuple[float, float, float]
    """Length, width, height of the bounding box [m]; of road users as an annotator would draw it."""
    rows: npt.NDArray[np.float32]
    """float32 [P, PRIMITIVE_WIDTH]."""
    bounds: tuple[float, float, float]
    """Radius around the z axis, lowest and highest z of what the primitives can reach [m]."""

    @classmethod
    def of(cls, size: tuple[float, float, float], rows: Iterable[Row]) -> Body:
        """A body from its primitives."""
        listed = list(rows)
        reach = max(math.hypot(row[1], row[2]) + math.hypot(row[6], row[7]) for row in listed)
        low, high = min(row[3] - row[8] for row in listed), max(row[3] + row[8] for row in listed)
        return cls(size, np.array(listed, np.float32), (reach, low, high))
