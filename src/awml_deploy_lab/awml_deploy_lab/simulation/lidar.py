"""Spinning LiDARs: beam layouts, mounting and what makes a return."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lidar:
    """A spinning LiDAR on the ego vehicle; it turns clockwise and starts at the rear."""

    elevations: tuple[float, ...]
    """Elevation of every beam [deg], lowest first."""
    columns: int = 2048
    """Firings a revolution."""
    period: float = 0.1
    """Duration of a revolution [s]."""
    position: tuple[float, float, float] = (0.9, 0.0, 1.9)
    """In ``base_link`` [m]."""
    tilt: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Roll, pitch, yaw of the mounting [rad]."""
    max_range: float = 120.0
    min_range: float = 1.0
    range_noise: float = 0.02
    """Standard deviation [m]."""
    drop_out: float = 0.03
    """Share of returns lost at any distance."""
    gain: float = 6.0
    """How strong echoes are against the detector's threshold; weak ones of far, dark or grazed surfaces
    get lost."""
    seed: int = 0
    """Of what differs between beams: azimuth offsets and intensity gains."""

    @property
    def beams(self) -> int:
        return len(self.elevations)

    def azimuths(self) -> Array:
        """float64 [columns]: azimuth of every firing [rad], counter-clockwise from the sensor's x axis."""
        return math.pi - 2 * math.pi * (np.arange(self.columns) + 0.5) / self.columns

    def times(self) -> Array:
        """float64 [columns]: firing after the start of the revolution [s]."""
        return self.period * (np.arange(self.columns) + 0.5) / self.columns

    def beam_table(self) -> npt.NDArray[np.float32]:
        """float32 [beams, 5]: cos and sin of the elevation and of the azimuth offset, intensity gain."""
        rng = np.random.default_rng([self.seed, self.beams])
        elevation = np.radians(self.elevations)
        offset = np.radians(rng.uniform(-1.5, 1.5, self.beams))
        gain = rng.uniform(0.8, 1.2, self.beams)
        return np.stack(
            [np.cos(elevation), np.sin(elevation), np.cos(offset), np.sin(offset), gain], axis=1
        ).astype(np.float32)

    def mounting(self) -> Array:
        """float64 [4, 4]: from ``lidar`` to ``base_link``."""
        matrix = np.eye(4)
        matrix[:3, :3] = rotation(*self.tilt)
        matrix[:3, 3] = self.position
        return matrix


def rotation(roll: float, pitch: float, yaw: float) -> Array:
    """float64 [3, 3] of intrinsic z, y, x angles (REP 103: about x, y, z by roll, pitch, yaw)."""
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(a), math.sin(a)) for a in (roll, pitch, yaw))
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def evenly(beams: int, low: float, high: float) -> tuple[float, ...]:
    """Elevations at equal angles [deg]."""
    return tuple(float(value) for value in np.linspace(low, high, beams))


def denser_at_horizon(beams: int, low: float, high: float, power: float = 1.6) -> tuple[float, ...]:
    """Elevations [deg] that are closer together towards the horizon, as of many long-range sensors."""
    steps = np.linspace(0.0, 1.0, beams)
    below = -low * (1 - steps) ** power
    return tuple(float(value) for value in (high * steps**power - below))


LIDARS: dict[str, Lidar] = {
    "hdl64": Lidar(
        evenly(32, -24.33, -8.87) + evenly(32, -8.33, 2.0), columns=2000, position=(0.8, 0.0, 1.73)
    ),
    "hdl32": Lidar(evenly(32, -30.67, 10.67), columns=1084, position=(0.9, 0.0, 1.84)),
    "vlp16": Lidar(evenly(16, -15.0, 15.0), columns=1800),
    "os64": Lidar(evenly(64, -22.5, 22.5), columns=2048),
    "os128": Lidar(evenly(128, -22.5, 22.5), columns=2048),
    "pandar64": Lidar(denser_at_horizon(64, -25.0, 15.0), columns=1800, position=(0.9, 0.0, 2.0)),
    "vls128": Lidar(denser_at_horizon(128, -25.0, 15.0), columns=1800, position=(0.9, 0.0, 2.0)),
}
"""Layouts like those of sensors in use, by name."""


def random_lidar(rng: np.random.Generator) -> Lidar:
    """A sensor of 32 to 128 beams, mostly 64, mounted somewhere on a car's roof."""
    beams = int(rng.choice([32, 40, 64, 128], p=[0.15, 0.1, 0.6, 0.15]))
    low, high = rng.uniform(-30.0, -15.0), rng.uniform(1.5, 18.0)
    layout = rng.integers(0, 3)
    if layout == 0:
        elevations = evenly(beams, low, high)
    elif layout == 1:
        elevations = denser_at_horizon(beams, low, high, rng.uniform(1.2, 1.9))
    else:
        split = rng.uniform(-10.0, -6.0)
        half = beams // 2
        step = (split - low) / half
        elevations = evenly(half, low, split - step) + evenly(beams - half, split, rng.uniform(1.5, 4.0))
    return replace(
        Lidar(elevations),
        columns=int(rng.choice([1024, 1536, 1800, 2048])) if beams < 128 else 1536,
        position=(rng.uniform(0.4, 1.6), rng.uniform(-0.2, 0.2), rng.uniform(1.5, 2.3)),
        tilt=tuple(float(v) for v in np.radians(rng.normal(0.0, [0.5, 0.5, 1.0]))),
        range_noise=rng.uniform(0.005, 0.04),
        drop_out=rng.uniform(0.0, 0.12),
        gain=rng.uniform(3.0, 9.0),
        seed=int(rng.integers(1 << 30)),
    )
