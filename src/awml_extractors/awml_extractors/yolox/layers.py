"""Layers of YOLOX_opt_elan under mmdet's and AWML's names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

NORM_EPS, NORM_MOMENTUM = 1e-3, 0.03
ACTIVATIONS: dict[str, type[nn.Module]] = {"ReLU6": nn.ReLU6, "ReLU": nn.ReLU}


class ConvModule(nn.Sequential):
    """Convolution without bias, batch normalisation and activation under mmcv's names."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        activation: str,
        *,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(in_channels, channels, kernel, stride, padding, dilation, bias=False),
                bn=nn.BatchNorm2d(channels, eps=NORM_EPS, momentum=NORM_MOMENTUM),
                activate=ACTIVATIONS[activation](),
            )
        )


class Bottleneck(nn.Module):
    """Two 3x3 convolutions, with or without a shortcut."""

    def __init__(self, channels: int, activation: str, *, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = ConvModule(channels, channels, 3, activation)
        self.conv2 = ConvModule(channels, channels, 3, activation)
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """``[B, C, h, w]`` to the same shape."""
        result: Tensor = self.conv2(self.conv1(features))
        return result + features if self.shortcut else result


class Elan(nn.Module):
    """Efficient layer aggregation: the outputs of all blocks are put together.

    C.-Y. Wang et al., "Designing Network Design Strategies Through Gradient Path Analysis", 2022,
    in the form of AWML: half the channels inside, the input's short path and every block's output
    into one 1x1 convolution.
    """

    def __init__(
        self, in_channels: int, channels: int, blocks: int, activation: str, *, shortcut: bool
    ) -> None:
        super().__init__()
        inner = channels // 2
        self.main_conv = ConvModule(in_channels, inner, 1, activation)
        self.short_conv = ConvModule(in_channels, inner, 1, activation)
        self.final_conv = ConvModule((blocks + 1) * inner, channels, 1, activation)
        self.blocks = nn.Sequential(
            *(Bottleneck(inner, activation, shortcut=shortcut) for _ in range(blocks))
        )

    def forward(self, features: Tensor) -> Tensor:
        """``[B, in, h, w]`` to ``[B, channels, h, w]``."""
        collected = [self.short_conv(features)]
        main = self.main_conv(features)
        for block in self.blocks:
            main = block(main)
            collected.append(main)
        result: Tensor = self.final_conv(torch.cat(collected, dim=1))
        return result


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling: dilated convolutions and the mean of the whole map.

    L.-C. Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.
    """

    def __init__(self, channels: int, dilations: Sequence[int], activation: str) -> None:
        super().__init__()
        self.aspp_modules = nn.ModuleList(
            ConvModule(channels, channels, 1 if dilation == 1 else 3, activation, dilation=dilation)
            for dilation in dilations
        )
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), ConvModule(channels, channels, 1, activation)
        )
        self.final_conv = ConvModule((len(dilations) + 1) * channels, channels, 3, activation)

    def forward(self, features: Tensor) -> Tensor:
        """``[B, C, h, w]`` to the same shape."""
        parts = [module(features) for module in self.aspp_modules]
        # Interpolating a single pixel, as AWML does, is the same as repeating it.
        parts.append(self.global_avg_pool(features).expand_as(features))
        return cast(Tensor, self.final_conv(torch.cat(parts, dim=1)))
