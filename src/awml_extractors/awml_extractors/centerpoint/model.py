"""CenterPoint with a pillar encoder in plain PyTorch, with mmdet3d's parameter names.

Architecture: PointPillars' feature net (Lang et al., CVPR 2019), SECOND's 2D backbone and neck
(Yan et al., Sensors 2018), CenterPoint's head with one task (Yin et al., CVPR 2021), as mmdet3d's
``PillarFeatureNet``, ``SECOND``, ``SECONDFPN`` and ``CenterHead`` with ``SeparateHead`` build them.
A state dict of theirs loads as it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from awml_extractors.centerpoint.config import CenterPointConfig

BODY_NORM_EPS = 1e-3
"""Batch normalisation of encoder, backbone and neck."""
HEAD_NORM_EPS = 1e-5
"""Batch normalisation of the head: mmdet3d leaves it at PyTorch's default."""
BODY_NORM_MOMENTUM = 0.01


class PFNLayer(nn.Module):
    """Point-wise linear layer, batch normalisation and ReLU, then the maximum over the points.

    A layer that is not the last gives half of its channels to the points and half to their maximum.
    """

    def __init__(self, in_channels: int, out_channels: int, *, last: bool) -> None:
        super().__init__()
        units = out_channels if last else out_channels // 2
        self.last = last
        self.norm = nn.BatchNorm1d(units, eps=BODY_NORM_EPS, momentum=BODY_NORM_MOMENTUM)
        self.linear = nn.Linear(in_channels, units, bias=False)

    def forward(self, points: Tensor) -> Tensor:
        """``[N, M, C]`` to ``[N, M, out]``, or ``[N, 1, out]`` for the last layer."""
        count, channels = points.shape[1], points.shape[2]
        # Normalising rows of a matrix spares the two transpositions that [N, C, M] would need.
        rows = torch.relu(self.norm(self.linear(points.reshape(-1, channels))))
        features = rows.reshape(-1, count, rows.shape[1])
        maximum = features.amax(dim=1, keepdim=True)
        if self.last:
            return maximum
        return torch.cat([features, maximum.expand(-1, count, -1)], dim=2)


class PillarFeatureNet(nn.Module):
    """PFN layers over decorated points; decoration and padding are done before."""

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [in_channels, *channels]
        self.pfn_layers = nn.ModuleList(
            PFNLayer(a, b, last=i == len(channels) - 1) for i, (a, b) in enumerate(pairwise(widths))
        )

    def forward(self, input_features: Tensor) -> Tensor:
        """Decorated points ``[N, M, C]``, padding zero, to pillar features ``[N, 1, F]``."""
        features = input_features
        for layer in self.pfn_layers:
            features = layer(features)
        return features


def _conv_norm_relu(conv: nn.Module, channels: int) -> list[nn.Module]:
    norm = nn.BatchNorm2d(channels, eps=BODY_NORM_EPS, momentum=BODY_NORM_MOMENTUM)
    return [conv, norm, nn.ReLU(inplace=True)]


class SECOND(nn.Module):
    """Stages of 3x3 convolutions; the first of each stage is strided."""

    def __init__(
        self, in_channels: int, channels: Sequence[int], layers: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for width, depth, stride in zip(channels, layers, strides, strict=True):
            modules = _conv_norm_relu(nn.Conv2d(in_channels, width, 3, stride, 1, bias=False), width)
            for _ in range(depth):
                modules += _conv_norm_relu(nn.Conv2d(width, width, 3, 1, 1, bias=False), width)
            self.blocks.append(nn.Sequential(*modules))
            in_channels = width

    def forward(self, canvas: Tensor) -> list[Tensor]:
        """Canvas ``[B, F, ny, nx]`` to one feature map a stage."""
        maps = []
        for block in self.blocks:
            canvas = block(canvas)
            maps.append(canvas)
        return maps


class SECONDFPN(nn.Module):
    """Brings every stage to one resolution and concatenates them."""

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: Sequence[int],
        strides: Sequence[float],
        *,
        conv_for_no_stride: bool,
    ) -> None:
        super().__init__()
        self.deblocks = nn.ModuleList()
        for source, width, stride in zip(in_channels, channels, strides, strict=True):
            layer: nn.Module
            if stride > 1 or (stride == 1 and not conv_for_no_stride):
                factor = round(stride)
                layer = nn.ConvTranspose2d(source, width, factor, factor, bias=False)
            else:
                factor = round(1 / stride)
                layer = nn.Conv2d(source, width, factor, factor, bias=False)
            self.deblocks.append(nn.Sequential(*_conv_norm_relu(layer, width)))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Feature maps of the stages to ``[B, sum of channels, h, w]``."""
        return torch.cat([deblock(m) for deblock, m in zip(self.deblocks, maps, strict=True)], dim=1)


class ConvModule(nn.Sequential):
    """Convolution without bias, batch normalisation and ReLU under mmcv's names."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
                bn=nn.BatchNorm2d(out_channels, eps=HEAD_NORM_EPS),
                activate=nn.ReLU(inplace=True),
            )
        )


class SeparateHead(nn.ModuleDict):
    """One branch an output: a convolution module, then a convolution with bias."""

    def __init__(self, channels: int, outputs: dict[str, int], kernel: int) -> None:
        super().__init__(
            {
                name: nn.Sequential(
                    ConvModule(channels, channels, kernel),
                    nn.Conv2d(channels, width, kernel, padding=kernel // 2),
                )
                for name, width in outputs.items()
            }
        )


class CenterHead(nn.Module):
    """Shared convolution and the branches of the only task."""

    def __init__(self, in_channels: int, channels: int, outputs: dict[str, int], kernel: int) -> None:
        super().__init__()
        self.shared_conv = ConvModule(in_channels, channels, 3)
        self.task_heads = nn.ModuleList([SeparateHead(channels, outputs, kernel)])

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """``[B, c, h, w]`` to one map an output, in the order of the configuration."""
        shared = self.shared_conv(features)
        return tuple(branch(shared) for branch in self.task_heads[0].children())


class CenterPoint(nn.Module):
    """The whole network of one variant; its outputs are in mmdet3d's convention."""

    def __init__(self, config: CenterPointConfig) -> None:
        super().__init__()
        self.config = config
        self.pts_voxel_encoder = PillarFeatureNet(config.num_encoder_features, config.pfn_channels)
        self.pts_backbone = SECOND(
            config.num_pillar_features,
            config.backbone_channels,
            config.backbone_layers,
            config.backbone_strides,
        )
        self.pts_neck = SECONDFPN(
            config.backbone_channels,
            config.neck_channels,
            config.neck_strides,
            conv_for_no_stride=config.neck_conv_for_no_stride,
        )
        self.pts_bbox_head = CenterHead(
            sum(config.neck_channels), config.head_channels, config.head_outputs, config.head_kernel
        )

    def scatter(self, pillar_features: Tensor, canvas_index: Tensor) -> Tensor:
        """Pillar features ``[N, 1, F]`` on the canvas ``[1, F, ny, nx]``.

        ``canvas_index`` int64 ``[N]`` is ``y * nx + x`` of every pillar, without repetition.
        """
        nx, ny = self.config.grid_size
        features = pillar_features.shape[-1]
        canvas = pillar_features.new_zeros(features, ny * nx)
        canvas[:, canvas_index] = pillar_features.reshape(-1, features).T
        return canvas.reshape(1, features, ny, nx)

    def forward_canvas(self, spatial_features: Tensor) -> tuple[Tensor, ...]:
        """Canvas ``[B, F, ny, nx]`` to heatmap, reg, height, dim, rot, vel ``[B, c, h, w]``."""
        outputs: tuple[Tensor, ...] = self.pts_bbox_head(self.pts_neck(self.pts_backbone(spatial_features)))
        return outputs

    def forward(self, input_features: Tensor, canvas_index: Tensor) -> tuple[Tensor, ...]:
        """Decorated points ``[N, M, C]`` and their cells ``[N]`` to the head's outputs."""
        return self.forward_canvas(self.scatter(self.pts_voxel_encoder(input_features), canvas_index))
