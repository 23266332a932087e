"""The ground: a sloped plane with low waves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

NUM_WAVES = 2
GROUND_WIDTH = 3 + 4 * NUM_WAVES
"""Values of a ground seen from a frame: height at its origin, slope along x and y, then amplitude, wave
number along x and y and phase of each wave."""


@dataclass(frozen=True)
class Ground:
    """Height ``z = ax x + ay y + sum a sin(kx x + ky y + p)`` over the map's plane [m]."""

    slope: tuple[float, float]
    waves: tuple[tuple[float, float, float, float], ...]
    """Amplitude [m], wave number along x and y [rad/m], phase [rad] of each wave."""

    @classmethod
    def random(cls, rng: np.random.Generator, slope: float, roughness: float) -> Ground:
        """A plane no steeper than ``slope`` with waves no steeper than ``roughness`` each."""
        waves = []
        for _ in range(NUM_WAVES):
            length, direction = rng.uniform(25.0, 90.0), rng.uniform(0.0, 2 * math.pi)
            number = 2 * math.pi / length
            amplitude = rng.uniform(0.0, roughness) / number
            waves.append(
                (
                    amplitude,
                    number * math.cos(direction),
                    number * math.sin(direction),
                    rng.uniform(0.0, 6.28),
                )
            )
        a, b = rng.uniform(-slope, slope, 2)
        return cls((float(a), float(b)), tuple(waves))

    def height(self, x: Array | float, y: Array | float) -> Array:
        """Height [m] at map coordinates."""
        z = self.slope[0] * np.asarray(x) + self.slope[1] * np.asarray(y)
        for amplitude, kx, ky, phase in self.waves:
            z = z + amplitude * np.sin(kx * np.asarray(x) + ky * np.asarray(y) + phase)
        return z

    def gradient(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Slope along the map's x and y."""
        gx, gy = np.full_like(x, self.slope[0]), np.full_like(y, self.slope[1])
        for amplitude, kx, ky, phase in self.waves:
            rise = amplitude * np.cos(kx * x + ky * y + phase)
            gx, gy = gx + rise * kx, gy + rise * ky
        return gx, gy

    def seen_from(self, x: float, y: float, z: float, yaw: float) -> npt.NDArray[np.float32]:
        """float32 [GROUND_WIDTH]: this ground in an upright frame at a place of the map."""
        cos, sin = math.cos(yaw), math.sin(yaw)
        values = [
            self.slope[0] * x + self.slope[1] * y - z,
            cos * self.slope[0] + sin * self.slope[1],
            cos * self.slope[1] - sin * self.slope[0],
        ]
        for amplitude, kx, ky, phase in self.waves:
            moved = math.remainder(phase + kx * x + ky * y, 2 * math.pi)
            values += [amplitude, cos * kx + sin * ky, cos * ky - sin * kx, moved]
        return np.array(values, np.float32)
