"""ResNet-18 in plain PyTorch under mmpretrain's names.

Structure: K. He et al., "Deep Residual Learning for Image Recognition", 2016, as mmpretrain's
``ResNet(depth=18, style="pytorch")`` with ``GlobalAveragePooling`` and ``LinearClsHead``.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

STAGE_CHANNELS = (64, 128, 256, 512)
BLOCKS_PER_STAGE = 2


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, features: Tensor) -> Tensor:
        """``[B, in, h, w]`` to ``[B, channels, h / stride, w / stride]``."""
        shortcut = features if self.downsample is None else self.downsample(features)
        residual = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(features)))))
        return torch.relu(residual + shortcut)


class ResNet18(nn.Module):
    """The convolutional part, to the features of the last stage."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        channels = STAGE_CHANNELS[0]
        self.conv1 = nn.Conv2d(in_channels, channels, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for index, width in enumerate(STAGE_CHANNELS, 1):
            blocks = [BasicBlock(channels, width, 1 if index == 1 else 2)]
            blocks += [BasicBlock(width, width, 1) for _ in range(BLOCKS_PER_STAGE - 1)]
            self.add_module(f"layer{index}", nn.Sequential(*blocks))
            channels = width

    def forward(self, image: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, 512, H / 32, W / 32]``."""
        features: Tensor = self.maxpool(torch.relu(self.bn1(self.conv1(image))))
        for index in range(1, len(STAGE_CHANNELS) + 1):
            features = self.get_submodule(f"layer{index}")(features)
        return features


class CalibrationStatusClassifier(nn.Module):
    """Five-channel image to the logits of the classes."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.backbone = ResNet18(in_channels)
        self.head = nn.Sequential(OrderedDict(fc=nn.Linear(STAGE_CHANNELS[-1], num_classes)))

    def forward(self, image: Tensor) -> Tensor:
        """``[B, 5, H, W]`` to logits ``[B, K]``."""
        logits: Tensor = self.head(self.backbone(image).mean(dim=(2, 3)))
        return logits
