"""How scenes are drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from awml_deploy_lab.simulation.lidar import LIDARS, Lidar, random_lidar

Range = tuple[float, float]


@dataclass(frozen=True)
class SceneParameters:
    """Ranges that a scene's properties are drawn from, uniformly."""

    make_lidar: Callable[[np.random.Generator], Lidar] = random_lidar
    ego_speed: Range = (0.0, 15.0)
    """[m/s]."""
    bend: Range = (0.0, 0.35)
    """How far the road's heading swings to both sides [rad]."""
    slope: float = 0.025
    """Steepest slope of the plane."""
    roughness: float = 0.012
    """Steepest slope of each of the ground's waves."""
    lane_width: Range = (2.9, 3.8)
    """[m]."""
    lanes: tuple[int, int] = (1, 3)
    """In each direction."""
    vehicle_gap: Range = (4.0, 40.0)
    """Mean free space between vehicles of a lane [m]."""
    traffic: tuple[float, float, float, float] = (0.55, 0.16, 0.12, 0.17)
    """Shares of cars, trucks, buses and cyclists in a lane."""
    parked: Range = (0.0, 0.9)
    """Share of places beside the road that are taken."""
    pedestrians: Range = (0.0, 0.16)
    """A metre of pavement."""
    cyclists: Range = (0.0, 0.05)
    """A metre of road edge."""
    clutter: Range = (0.3, 1.3)
    """Density of trees, poles, bushes and street furniture, relative to a usual street."""
    size_scale: Range = (0.94, 1.08)
    """Of road users."""


TRAINING = SceneParameters()
"""What the demo models learn from."""

HELD_OUT = SceneParameters(
    make_lidar=lambda rng: LIDARS[("pandar64", "os64", "hdl64")[int(rng.integers(3))]],
    ego_speed=(2.0, 17.0),
    bend=(0.05, 0.5),
    slope=0.03,
    roughness=0.015,
    lane_width=(2.8, 4.0),
    vehicle_gap=(3.0, 30.0),
    traffic=(0.62, 0.14, 0.09, 0.15),
    parked=(0.1, 1.0),
    pedestrians=(0.01, 0.2),
    cyclists=(0.0, 0.06),
    clutter=(0.5, 1.6),
    size_scale=(0.92, 1.1),
)
"""What they are measured on: sensors, densities, sizes and roads that partly lie outside of TRAINING's."""

PRESETS = {"training": TRAINING, "held_out": HELD_OUT}
