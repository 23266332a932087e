"""The pillar feature net in the form that is exported: the same function with less memory traffic.

Two identities save most of the passes over the points. A batch normalisation in eval mode is part of
the linear layer before it. And a layer sees its points beside their maximum m, the same for all points
of a pillar, so that with its weights split into those of points f and of the maximum,

    max(relu(f A + m B + c)) = relu(max(f A) + m B + c),

and the widest tensor, points beside their maximum, never exists.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from awml_extractors.centerpoint.model import PFNLayer, PillarFeatureNet


class FoldedPFNLayer(nn.Module):
    """Weights of one PFN layer with its normalisation folded in, in eval mode."""

    def __init__(self, layer: PFNLayer, point_channels: int) -> None:
        super().__init__()
        norm = layer.norm
        mean, variance = norm.get_buffer("running_mean").double(), norm.get_buffer("running_var").double()
        scale = norm.weight.detach().double() / torch.sqrt(variance + norm.eps)
        weight = layer.linear.weight.detach().double() * scale[:, None]
        bias = norm.bias.detach().double() - mean * scale
        kind = layer.linear.weight.dtype
        self.of_points = nn.Parameter(weight[:, :point_channels].T.contiguous().to(kind))
        self.of_maximum = nn.Parameter(weight[:, point_channels:].T.contiguous().to(kind))
        """Of no channels in the first layer, whose points have no maximum."""
        self.bias = nn.Parameter(bias.to(kind))


class FoldedPillarFeatureNet(nn.Module):
    """Equal to a :class:`PillarFeatureNet` in eval mode but for rounding."""

    def __init__(self, encoder: PillarFeatureNet) -> None:
        super().__init__()
        layers = []
        for position, module in enumerate(encoder.pfn_layers):
            layer = cast(PFNLayer, module)
            inputs = layer.linear.in_features
            layers.append(FoldedPFNLayer(layer, inputs // 2 if position else inputs))
        self.layers = nn.ModuleList(layers)

    def forward(self, input_features: Tensor) -> Tensor:
        """Decorated points ``[N, M, C]``, padding zero, to pillar features ``[N, 1, F]``."""
        count = input_features.shape[1]
        rows = input_features.reshape(-1, input_features.shape[2])
        maximum: Tensor | None = None
        for position, module in enumerate(self.layers):
            layer = cast(FoldedPFNLayer, module)
            shared = layer.bias if maximum is None else maximum @ layer.of_maximum + layer.bias
            rows = rows @ layer.of_points
            points = rows.reshape(-1, count, rows.shape[1])
            last = position == len(self.layers) - 1
            if not last:
                points = torch.relu(points + shared)
                rows = points.reshape(-1, points.shape[2])
            highest = points.amax(dim=1, keepdim=True)
            maximum = torch.relu(highest + shared) if last else highest
        assert maximum is not None
        return maximum
