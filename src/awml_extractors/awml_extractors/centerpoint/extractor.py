"""The two exportable components of a CenterPoint model."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from awml_deploy_core.components import ComponentSpec, DynamicAxis, ExportableComponent
from awml_deploy_core.errors import ExportError
from awml_extractors.centerpoint.config import MMDET3D_CONVENTION, CenterPointConfig, HeadConvention
from awml_extractors.centerpoint.convention import ChannelMap, dim_map, rot_map
from awml_extractors.centerpoint.folding import FoldedPillarFeatureNet
from awml_extractors.centerpoint.metadata import onnx_metadata
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.specs import component_specs

_MAX_SAMPLE_VOXELS = 1024
"""Pillars of the sample input: a trace needs few, and the largest variant takes a gigabyte."""


class BackboneNeckHead(nn.Module):
    """Canvas to head outputs in the configured convention.

    The conversion from mmdet3d's convention is in the weights of the last convolutions, so the
    graph has no nodes for it and gives its outputs in their order. Backbone and neck are the
    model's own; the head is a copy.
    """

    def __init__(self, model: CenterPoint, target: HeadConvention) -> None:
        super().__init__()
        self.pts_backbone = model.pts_backbone
        self.pts_neck = model.pts_neck
        self.pts_bbox_head = copy.deepcopy(model.pts_bbox_head)
        branches = cast(nn.ModuleDict, self.pts_bbox_head.task_heads[0])
        maps = {"dim": dim_map(MMDET3D_CONVENTION, target), "rot": rot_map(MMDET3D_CONVENTION, target)}
        for name, channels in maps.items():
            last = cast(nn.Conv2d, cast(nn.Sequential, branches[name])[-1])
            _convert(last, channels.with_variance() if model.config.has_variance else channels)

    def forward(self, spatial_features: Tensor) -> tuple[Tensor, ...]:
        """``[1, F, ny, nx]`` to heatmap, reg, height, dim, rot, vel ``[1, c, h, w]``."""
        outputs: tuple[Tensor, ...] = self.pts_bbox_head(self.pts_neck(self.pts_backbone(spatial_features)))
        return outputs


def _convert(conv: nn.Conv2d, channels: ChannelMap) -> None:
    """Apply a ChannelMap to the outputs of a convolution, exactly: a sign does not round."""
    order, signs = list(channels.order), torch.tensor(channels.signs).to(conv.weight)
    with torch.no_grad():
        conv.weight.copy_(conv.weight[order] * signs.reshape(-1, 1, 1, 1))
        bias = conv.get_parameter("bias")
        bias.copy_(bias[order] * signs)


@dataclass(frozen=True)
class CenterPointComponentExtractor:
    """Splits a CenterPoint into ``pts_voxel_encoder`` and ``pts_backbone_neck_head``."""

    config: CenterPointConfig

    def extract(self, model: nn.Module) -> tuple[ExportableComponent, ...]:
        """Both components in eval mode with seeded samples; backbone and neck share the model's parameters.

        Raises:
            ExportError: ``model`` is not a CenterPoint of this configuration.
        """
        if not isinstance(model, CenterPoint):
            raise ExportError("model", "wrong type", got=type(model).__name__, expected="CenterPoint")
        if component_specs(model.config) != component_specs(self.config):
            raise ExportError(
                "model",
                "was built for another variant",
                got=", ".join(str(spec.inputs[0]) for spec in component_specs(model.config)),
                expected=", ".join(str(spec.inputs[0]) for spec in component_specs(self.config)),
            )
        model = model.eval()
        encoder, head = component_specs(self.config)
        modules = (
            (encoder, FoldedPillarFeatureNet(model.pts_voxel_encoder).eval()),
            (head, BackboneNeckHead(model, self.config.head_convention).eval()),
        )
        device = next(model.parameters()).device
        return tuple(
            ExportableComponent(
                spec, module.to(device), _samples(spec, device), onnx_metadata(self.config, spec.name)
            )
            for spec, module in modules
        )


def _samples(spec: ComponentSpec, device: torch.device) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(
            [
                min(axis.opt, _MAX_SAMPLE_VOXELS) if isinstance(axis, DynamicAxis) else axis
                for axis in tensor.shape
            ],
            generator=generator,
        ).to(device)
        for tensor in spec.inputs
    )
