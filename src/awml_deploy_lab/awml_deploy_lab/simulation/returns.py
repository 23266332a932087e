"""From what rays meet to what a sensor reports: lost echoes, noise and intensity.

Works on any number of rays of any number of revolutions at once, on any device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from awml_deploy_lab.simulation.cast import GROUND
from awml_deploy_lab.simulation.lidar import Lidar

_FACING = 0.6
"""Cosine of the angle of incidence on everything but the ground, whose own is known."""
_INTENSITY_NOISE = 4.0


@dataclass(frozen=True, eq=False)
class Rays:
    """R rays and what they met."""

    distance: Tensor
    """float32 [R] [m]."""
    body: Tensor
    """int32 [R]: see :class:`awml_deploy_lab.simulation.cast.Echoes`."""
    reflectivity: Tensor
    """float32 [R]."""
    firing: Tensor
    """float32 [R, COLUMN_WIDTH]: row of the column table."""
    beam: Tensor
    """float32 [R, 5]: row of the beam table."""
    sensor: Tensor
    """float32 [R, 4] or [1, 4]: range noise, drop-out, gain and greatest range of the sensor."""


def sensor_values(lidar: Lidar) -> tuple[float, float, float, float]:
    """A row of :attr:`Rays.sensor`."""
    return lidar.range_noise, lidar.drop_out, lidar.gain, lidar.max_range


@dataclass(frozen=True, eq=False)
class Returns:
    """The N rays that gave a return, in their order."""

    ray: Tensor
    """int64 [N]: index of the ray."""
    upright: Tensor
    """float32 [N, 3]: point in the upright frame of its revolution."""
    raw: Tensor
    """float32 [N, 3]: point in the sensor's frame when it fired."""
    intensity: Tensor
    """uint8 [N]."""


def sense(rays: Rays, generator: torch.Generator) -> Returns:
    """What the sensor reports; chance comes from ``generator`` alone."""
    count, device = len(rays.distance), rays.distance.device
    noise, drop_out, gain, max_range = rays.sensor.T
    ce, se, co, so, beam_gain = rays.beam.T
    cos, sin = rays.firing[:, 1], rays.firing[:, 2]
    direction = torch.stack([ce * (cos * co - sin * so), ce * (sin * co + cos * so), se], dim=1)
    turn = rays.firing[:, 6:15].reshape(-1, 3, 3)
    along = (turn * direction[:, None]).sum(dim=2)
    facing = torch.where(rays.body == GROUND, along[:, 2].abs(), _FACING)
    strength = rays.reflectivity * facing.sqrt() * (max_range / rays.distance) ** 2
    chance = (1 - drop_out) * (1 - torch.exp(-gain * strength))
    luck = torch.rand(count, generator=generator, device=device)
    kept = torch.nonzero((luck < chance) & (rays.distance < max_range)).squeeze(1)
    errors = torch.randn((2, len(kept)), generator=generator, device=device)
    measured = rays.distance[kept] + errors[0] * (noise if len(noise) == 1 else noise[kept])
    echo = 255.0 * rays.reflectivity[kept] * beam_gain[kept] + _INTENSITY_NOISE * errors[1]
    return Returns(
        kept,
        rays.firing[kept, 3:6] + measured[:, None] * along[kept],
        measured[:, None] * direction[kept],
        echo.round().clamp(0, 255).to(torch.uint8),
    )
