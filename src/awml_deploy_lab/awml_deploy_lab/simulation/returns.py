"""From what rays meet to what a sensor reports: lost echoes, noise and intensity.

Works on any number of rays of any number of revolutions at once, on any device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from awml_deploy_lab.simulation.cast import GROUND
from awml_deploy_lab.simulation.rays import Rays

_FACING = 0.6
"""Cosine of the angle of incidence on everything but the ground, whose own is known."""
_INTENSITY_NOISE = 4.0


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
    tables, device = rays.tables, rays.distance.device
    noise, drop_out, gain, max_range, _ = tables.sensors[rays.sweep].T
    ce, se, co, so, beam_gain = tables.beams[rays.beam].T
    firing = tables.columns[rays.column]
    cos, sin = firing[:, 1], firing[:, 2]
    direction = torch.stack([ce * (cos * co - sin * so), ce * (sin * co + cos * so), se], dim=1)
    along = (firing[:, 6:15].reshape(-1, 3, 3) * direction[:, None]).sum(dim=2)
    facing = torch.where(rays.body == GROUND, along[:, 2].abs(), _FACING)
    strength = rays.reflectivity * facing.sqrt() * (max_range / rays.distance) ** 2
    chance = (1 - drop_out) * (1 - torch.exp(-gain * strength))
    luck = torch.rand(len(rays.distance), generator=generator, device=device)
    kept = torch.nonzero((luck < chance) & (rays.distance < max_range)).squeeze(1)
    errors = torch.randn((2, len(kept)), generator=generator, device=device)
    measured = rays.distance[kept] + errors[0] * noise[kept]
    echo = 255.0 * rays.reflectivity[kept] * beam_gain[kept] + _INTENSITY_NOISE * errors[1]
    return Returns(
        kept,
        firing[kept, 3:6] + measured[:, None] * along[kept],
        measured[:, None] * direction[kept],
        echo.round().clamp(0, 255).to(torch.uint8),
    )
