"""YOLOX with an ELAN backbone in plain PyTorch, under the names of mmdet and AWML.

Z. Ge et al., "YOLOX: Exceeding YOLO Series in 2021"; modules ``ELANDarknet``, ``YOLOXPAFPN_ELAN`` of
AWML's ``projects/YOLOX_opt_elan`` and ``YOLOXHead`` of mmdet.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from awml_extractors.yolox.config import STRIDES, YoloxConfig
from awml_extractors.yolox.layers import Aspp, ConvModule, Elan

_STEM_CHANNELS = 32
_STAGE_CHANNELS = (64, 128, 256, 512)
_STAGE_BLOCKS = (1, 3, 3, 1)
_SHORTCUTS = {"P5": (True, True, True, False), "P5_ASPP": (False, False, False, True)}
_ASPP_STAGES = {"P5": (), "P5_ASPP": (1, 2, 3)}
_ASPP_DILATIONS = (1, 6, 12, 18)
_HEAD_CHANNELS = 128
_HEAD_LAYERS = 2


class Stem(nn.Module):
    """Two 3x3 convolutions, the first strided."""

    def __init__(self, channels: int, activation: str) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            ConvModule(3, channels, 3, activation, stride=2), ConvModule(channels, channels, 3, activation)
        )

    def forward(self, images: Tensor) -> Tensor:
        """``[B, 3, H, W]`` to ``[B, C, H / 2, W / 2]``."""
        features: Tensor = self.conv(images)
        return features


class ElanDarknet(nn.Module):
    """Stem and four stages; the last three give the levels."""

    def __init__(self, config: YoloxConfig) -> None:
        super().__init__()
        name, factor = config.activation, config.widen_factor
        channels = int(_STEM_CHANNELS * factor)
        self.stem = Stem(channels, name)
        rows = zip(_STAGE_CHANNELS, _STAGE_BLOCKS, _SHORTCUTS[config.arch], strict=True)
        for index, (base, blocks, shortcut) in enumerate(rows, 1):
            width = int(base * factor)
            stage: list[nn.Module] = [ConvModule(channels, width, 3, name, stride=2)]
            if index in _ASPP_STAGES[config.arch]:
                stage.append(Aspp(width, _ASPP_DILATIONS, name))
            count = max(round(blocks * config.deepen_factor), 1)
            stage.append(Elan(width, width, count, name, shortcut=shortcut))
            self.add_module(f"stage{index}", nn.Sequential(*stage))
            channels = width

    def forward(self, images: Tensor) -> list[Tensor]:
        """``[B, 3, H, W]`` to maps of strides 8, 16, 32."""
        features: Tensor = self.stem(images)
        maps = []
        for index in range(1, len(_STAGE_CHANNELS) + 1):
            features = self.get_submodule(f"stage{index}")(features)
            maps.append(features)
        return maps[1:]


class Pafpn(nn.Module):
    """Path aggregation: coarse maps go down to the finest, then up again."""

    def __init__(self, channels: Sequence[int], out_channels: int, blocks: int, name: str) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.reduce_layers = nn.ModuleList()
        self.top_down_blocks = nn.ModuleList()
        self.downsamples = nn.ModuleList()
        self.bottom_up_blocks = nn.ModuleList()
        for coarse, fine in zip(channels[:0:-1], channels[-2::-1], strict=True):
            self.reduce_layers.append(ConvModule(coarse, fine, 1, name))
            self.top_down_blocks.append(Elan(2 * fine, fine, blocks, name, shortcut=False))
        for fine, coarse in pairwise(channels):
            self.downsamples.append(ConvModule(fine, fine, 3, name, stride=2))
            self.bottom_up_blocks.append(Elan(2 * fine, coarse, blocks, name, shortcut=False))
        self.out_convs = nn.ModuleList(ConvModule(width, out_channels, 1, name) for width in channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the levels, finest first, to maps of ``out_channels``."""
        inner = [maps[-1]]
        pairs = zip(self.reduce_layers, self.top_down_blocks, maps[-2::-1], strict=True)
        for reduce, block, fine in pairs:
            inner[0] = reduce(inner[0])
            inner.insert(0, block(torch.cat([self.upsample(inner[0]), fine], dim=1)))
        outs = [inner[0]]
        for downsample, block, coarse in zip(
            self.downsamples, self.bottom_up_blocks, inner[1:], strict=True
        ):
            outs.append(block(torch.cat([downsample(outs[-1]), coarse], dim=1)))
        return [conv(features) for conv, features in zip(self.out_convs, outs, strict=True)]


class YoloxHead(nn.Module):
    """Decoupled branches of every level, without sharing."""

    def __init__(self, channels: int, num_classes: int, name: str) -> None:
        super().__init__()

        def branches() -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(*(ConvModule(channels, channels, 3, name) for _ in range(_HEAD_LAYERS)))
                for _ in STRIDES
            )

        def predictions(width: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(channels, width, 1) for _ in STRIDES)

        self.multi_level_cls_convs = branches()
        self.multi_level_reg_convs = branches()
        self.multi_level_conv_cls = predictions(num_classes)
        self.multi_level_conv_reg = predictions(4)
        self.multi_level_conv_obj = predictions(1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps of the levels to ``[B, cells, 5 + K]``; see :mod:`awml_extractors.yolox.specs`."""
        levels = []
        for index, features in enumerate(maps):
            classes = self.multi_level_cls_convs[index](features)
            boxes = self.multi_level_reg_convs[index](features)
            level = torch.cat(
                [
                    self.multi_level_conv_reg[index](boxes),
                    self.multi_level_conv_obj[index](boxes).sigmoid(),
                    self.multi_level_conv_cls[index](classes).sigmoid(),
                ],
                dim=1,
            )
            levels.append(level.flatten(start_dim=2))
        return torch.cat(levels, dim=2).permute(0, 2, 1)


class Yolox(nn.Module):
    """The whole network of one variant."""

    def __init__(self, config: YoloxConfig) -> None:
        super().__init__()
        self.config = config
        channels = [int(width * config.widen_factor) for width in _STAGE_CHANNELS[1:]]
        head_channels = int(_HEAD_CHANNELS * config.widen_factor)
        self.backbone = ElanDarknet(config)
        self.neck = Pafpn(channels, head_channels, config.neck_blocks, config.activation)
        self.bbox_head = YoloxHead(head_channels, len(config.class_names), config.activation)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``[B, 3, H, W]``, 0 to 255, to ``[B, cells, 5 + K]``."""
        output: Tensor = self.bbox_head(self.neck(self.backbone(images)))
        return output
