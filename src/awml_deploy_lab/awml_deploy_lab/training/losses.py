"""Losses of CenterPoint in float32, as mmdet3d has them but for two weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from awml_deploy_lab.training.targets import REGRESSION, Targets

BOX_WEIGHT = 0.5
"""Of the regression, beside a heatmap's 1. mmdet3d has 0.25 for annotated boxes, which are less exact than
simulated ones."""
CODE_WEIGHTS = {"reg": 1.0, "height": 1.0, "dim": 1.0, "rot": 1.0, "vel": 1.0}
"""Of every output within the regression. mmdet3d has 0.2 for velocities, which annotators can only
difference."""
LOSS_TERMS = ("heatmap", *REGRESSION)
"""Terms in the order of :func:`loss_terms`."""


def gaussian_focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Sum over all cells of CornerNet's focal loss (alpha 2, gamma 4), float32.

    Computed from logits, so that no probability has to be kept away from 0 and 1.
    """
    logits = logits.float()
    score = logits.sigmoid()
    missed = -((1 - score) ** 2) * logsigmoid(logits)
    false = -(score**2) * (1 - target) ** 4 * logsigmoid(-logits)
    return torch.where(target == 1, missed, false).sum()


def regression_losses(
    outputs: Mapping[str, Tensor], targets: Targets, code_weights: Mapping[str, float] = CODE_WEIGHTS
) -> dict[str, Tensor]:
    """L1 loss of every regression output, divided by the sum of the weights of the cells.

    Targets that are NaN are left out; the divisor stays, as mmdet3d's does.
    """
    total = targets.weights.sum().clamp(min=1.0)
    losses = {}
    start = 0
    for name, channels in REGRESSION.items():
        rows = outputs[name].permute(0, 2, 3, 1).reshape(-1, channels)
        wanted = targets.values[:, start : start + channels]
        unknown = wanted.isnan() | (targets.weights == 0)[:, None]
        error = (rows.index_select(0, targets.cells).float() - wanted.masked_fill(unknown, 0.0)).abs()
        weighted = (error * targets.weights[:, None]).masked_fill(unknown, 0.0).sum()
        losses[name] = BOX_WEIGHT * code_weights[name] * weighted / total
        start += channels
    return losses


def loss_terms(
    outputs: Mapping[str, Tensor], targets: Targets, code_weights: Mapping[str, float] = CODE_WEIGHTS
) -> Tensor:
    """float32 [6]: the terms of the loss, which is their sum, in the order of :data:`LOSS_TERMS`."""
    heatmap = gaussian_focal_loss(outputs["heatmap"], targets.heatmap) / targets.positives.clamp(min=1.0)
    regression = regression_losses(outputs, targets, code_weights)
    return torch.stack([heatmap, *(regression[name] for name in REGRESSION)])
