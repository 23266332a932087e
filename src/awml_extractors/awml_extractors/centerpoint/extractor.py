"""The two exportable components of a CenterPoint model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from awml_deploy_core.components import ComponentSpec, DynamicAxis, ExportableComponent
from awml_deploy_core.errors import ExportError
from awml_extractors.centerpoint.config import MMDET3D_CONVENTION, CenterPointConfig, HeadConvention
from awml_extractors.centerpoint.convention import ChannelMap, dim_map, rot_map
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.specs import component_specs

_MAX_SAMPLE_VOXELS = 1024
"""Pillars of the sample input: a trace needs few, and the largest variant takes a gigabyte."""


class _ChannelConversion(nn.Module):
    """Applies a ChannelMap to a tensor ``[B, c, h, w]``."""

    order: Tensor
    signs: Tensor

    def __init__(self, channels: ChannelMap) -> None:
        super().__init__()
        self.register_buffer("order", torch.tensor(channels.order))
        signs = None
        if any(sign != 1.0 for sign in channels.signs):
            signs = torch.tensor(channels.signs).reshape(1, -1, 1, 1)
        self.register_buffer("signs", signs)

    def forward(self, value: Tensor) -> Tensor:
        swapped = value.index_select(1, self.order)
        return swapped if self.signs is None else swapped * self.signs


class BackboneNeckHead(nn.Module):
    """Canvas to head outputs in the configured convention; shares the model's parameters."""

    def __init__(self, model: CenterPoint, target: HeadConvention) -> None:
        super().__init__()
        self.pts_backbone = model.pts_backbone
        self.pts_neck = model.pts_neck
        self.pts_bbox_head = model.pts_bbox_head
        conversions = {}
        maps = {"dim": dim_map(MMDET3D_CONVENTION, target), "rot": rot_map(MMDET3D_CONVENTION, target)}
        for name, channels in maps.items():
            if not channels.is_identity:
                channels = channels.with_variance() if model.config.has_variance else channels
                conversions[name] = _ChannelConversion(channels)
        self.conversions = nn.ModuleDict(conversions)
        self.output_names = tuple(model.config.head_outputs)

    def forward(self, spatial_features: Tensor) -> tuple[Tensor, ...]:
        """``[1, F, ny, nx]`` to heatmap, reg, height, dim, rot, vel ``[1, c, h, w]``."""
        outputs = self.pts_bbox_head(self.pts_neck(self.pts_backbone(spatial_features)))
        return tuple(
            self.conversions[name](value) if name in self.conversions else value
            for name, value in zip(self.output_names, outputs, strict=True)
        )


@dataclass(frozen=True)
class CenterPointComponentExtractor:
    """Splits a CenterPoint into ``pts_voxel_encoder`` and ``pts_backbone_neck_head``."""

    config: CenterPointConfig

    def extract(self, model: nn.Module) -> tuple[ExportableComponent, ...]:
        """Both components in eval mode, sharing the model's parameters, with seeded samples.

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
            (encoder, model.pts_voxel_encoder),
            (head, BackboneNeckHead(model, self.config.head_convention).eval()),
        )
        device = next(model.parameters()).device
        return tuple(
            ExportableComponent(spec, module.to(device), _samples(spec, device), self._metadata(spec))
            for spec, module in modules
        )

    def _metadata(self, spec: ComponentSpec) -> dict[str, str]:
        config = self.config
        return {
            "model_family": "centerpoint",
            "component": spec.name,
            "class_names": ",".join(config.class_names),
            "point_features": ",".join(config.point_features),
            "head_dim_order": config.head_convention.dim_order,
            "head_rot_encoding": config.head_convention.rot_encoding,
        }


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
