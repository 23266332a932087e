"""Random changes to a batch that leave its truth true, the same for the same seed and step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from awml_deploy_lab.training.batch import TrainingBatch


@dataclass(frozen=True)
class Augmentation:
    """How much a batch is changed; every frame draws for itself."""

    flip: bool = True
    """Mirror x, y or both, each with probability 1/2."""
    yaw: float = math.pi
    """Rotate about z by up to this angle [rad] either way."""
    scale: tuple[float, float] = (0.95, 1.05)
    """Scale lengths and velocities by a factor between these."""
    past_drop_probability: float = 0.25
    """Of leaving out the past sweeps, so that the model works with the current one alone."""


@dataclass(frozen=True, eq=False)
class FrameChanges:
    """What happens to each of B frames."""

    mirror: Tensor
    """float32 [B, 2]: factors of x and y, 1 or -1; applied first."""
    yaw: Tensor
    """float32 [B] [rad]: rotation about z, applied second."""
    scale: Tensor
    """float32 [B]."""
    drop_past: Tensor
    """bool [B]"""


def draw_changes(
    augmentation: Augmentation, size: int, seed: int, step: int, device: torch.device
) -> FrameChanges:
    """Changes of the frames of a step.

    Drawn on the CPU: its generator gives the same numbers for any device.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
    draws = torch.rand((size, 5), generator=generator)
    mirror = torch.where((draws[:, :2] < 0.5) & augmentation.flip, -1.0, 1.0)
    yaw = (2 * draws[:, 2:3] - 1) * augmentation.yaw
    low, high = augmentation.scale
    scale = low + (high - low) * draws[:, 3:4]
    drop = (draws[:, 4:5] < augmentation.past_drop_probability).float()
    table = torch.cat([mirror, yaw, scale, drop], dim=1).to(device, non_blocking=True)
    return FrameChanges(table[:, :2], table[:, 2], table[:, 3], table[:, 4] > 0)


def apply_changes(batch: TrainingBatch, changes: FrameChanges) -> TrainingBatch:
    """The changed batch; the given one stays as it is.

    Points of dropped past sweeps become NaN, which voxelisation leaves out: removing them would
    make the host wait. Velocities cannot be told from one sweep, so those of boxes in frames without
    past sweeps become NaN, which the loss leaves out. ``num_points`` is not counted again.
    """
    points, boxes = batch.points, batch.boxes
    frame = batch.point_frame
    xy = _turn(points[:, :2], changes, frame)
    z = points[:, 2] * changes.scale[frame]
    dropped = changes.drop_past[frame] & (points[:, 4] > 0)
    xyz = torch.cat([xy, z[:, None]], dim=1).masked_fill(dropped[:, None], torch.nan)

    frame = batch.box_frame
    scale = changes.scale[frame][:, None]
    velocity = _turn(boxes[:, 7:9], changes, frame)
    velocity = velocity.masked_fill(changes.drop_past[frame][:, None], torch.nan)
    parts = [
        _turn(boxes[:, :2], changes, frame),
        boxes[:, 2:6] * scale,
        _turned_yaw(boxes[:, 6], changes, frame)[:, None],
        velocity,
    ]
    return replace(batch, points=torch.cat([xyz, points[:, 3:]], dim=1), boxes=torch.cat(parts, dim=1))


def _turn(vectors: Tensor, changes: FrameChanges, frame: Tensor) -> Tensor:
    """Vectors x, y ``[N, 2]`` mirrored, rotated and scaled."""
    x, y = (vectors * changes.mirror[frame]).unbind(dim=1)
    cos = (changes.scale * changes.yaw.cos())[frame]
    sin = (changes.scale * changes.yaw.sin())[frame]
    return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=1)


def _turned_yaw(yaw: Tensor, changes: FrameChanges, frame: Tensor) -> Tensor:
    """Yaws ``[M]`` of mirrored and rotated boxes in [-pi, pi]."""
    mirror_x, mirror_y = changes.mirror[frame].unbind(dim=1)
    mirrored = torch.atan2(yaw.sin() * mirror_y, yaw.cos() * mirror_x)
    turned = mirrored + changes.yaw[frame]
    return torch.atan2(turned.sin(), turned.cos())
