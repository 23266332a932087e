"""The furniture of the synthetic street."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

STATIC = -1
"""Label of what is no road user."""
STREET_LENGTH = 280.0
"""Period of the street [m], more than twice what the LiDAR sees."""
EGO_SPEED = 8.0
"""Of the vehicle that carries the LiDAR along y = 0 [m/s]."""


@dataclass(frozen=True, eq=False)
class Solids:
    """M boxes standing on the ground of the street, which runs along x and repeats itself."""

    x: Array
    """float64 [M]: centre at time zero [m]."""
    y: Array
    size: Array
    """float64 [M, 3]: length, width, height [m]."""
    yaw: Array
    """float64 [M] [rad]."""
    speed: Array
    """float64 [M]: along x [m/s]."""
    label: npt.NDArray[np.int32]
    """int32 [M]: index into the class names, or ``STATIC``."""
    reflectivity: Array
    """float64 [M]: 0 to 1."""


def furnish(rng: np.random.Generator) -> Solids:
    """Lanes of traffic, parked cars, pavements with people and poles, and houses on both sides."""
    # x, y, length, width, height, yaw, speed, label, reflectivity
    rows: list[tuple[float, ...]] = []

    def line(y: float, speed: float, spacing: float, label: int, sizes: Sequence[Sequence[float]]) -> None:
        """Solids one behind the other; the ego vehicle's place is left free."""
        for x in np.arange(-STREET_LENGTH / 2, STREET_LENGTH / 2 - spacing / 2, spacing):
            length, width, height = rng.choice(sizes) * rng.uniform(0.9, 1.1, 3)
            place = x + rng.uniform(0.0, max(spacing - length - 2.0, 0.0))
            yaw = math.pi if speed < 0 else 0.0
            row = (place, y + rng.normal(0.0, 0.2), length, width, height, yaw + rng.normal(0.0, 0.02))
            if abs(y) > 2.0 or abs(place) > 12.0:
                rows.append((*row, speed, label, rng.uniform(0.2, 0.9)))

    cars, trucks, people = [[4.4, 1.8, 1.6], [4.9, 2.0, 1.8]], [[8.5, 2.5, 3.3]], [[0.7, 0.6, 1.75]]
    line(0.0, EGO_SPEED, 26.0, 0, cars)
    line(3.6, 11.0, 34.0, 0, cars)
    line(7.2, -9.0, 29.0, 0, cars)
    line(10.8, -7.0, 70.0, 1, trucks)
    line(-4.6, 0.0, 9.5, 0, cars)
    line(-7.5, 1.3, 17.0, 2, people)
    line(14.5, -1.2, 21.0, 2, people)
    line(-8.8, 0.0, 28.0, STATIC, [[0.3, 0.3, 6.0]])
    line(13.2, 0.0, 33.0, STATIC, [[0.3, 0.3, 6.0]])
    line(-17.0, 0.0, 27.0, STATIC, [[20.0, 10.0, 9.0], [22.0, 10.0, 4.0]])
    line(24.0, 0.0, 35.0, STATIC, [[24.0, 10.0, 12.0], [26.0, 0.4, 2.5]])
    table = np.array(rows)
    return Solids(
        table[:, 0],
        table[:, 1],
        table[:, 2:5],
        table[:, 5],
        table[:, 6],
        table[:, 7].astype(np.int32),
        table[:, 8],
    )
