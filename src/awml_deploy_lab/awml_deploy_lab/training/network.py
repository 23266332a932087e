"""A CenterPoint as it is trained: many frames at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from awml_deploy_lab.training.voxelize import BatchPillars
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.model import CenterPoint, PFNLayer

HEATMAP_BIAS = -2.19
"""Logit of the heatmap at the start (CenterPoint, CornerNet): about 0.1, as most cells are empty."""


def new_model(config: CenterPointConfig, seed: int, *, norm_momentum: float = 0.1) -> CenterPoint:
    """An untrained model in training mode on the CPU; the same seed gives the same weights.

    Args:
        norm_momentum: Of all batch normalisations.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = CenterPoint(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = norm_momentum
    first = cast(PFNLayer, model.pts_voxel_encoder.pfn_layers[0])
    spreads = torch.tensor(_spreads(config))
    with torch.no_grad():
        first.linear.weight.div_(spreads / spreads.log().mean().exp())
    heads = cast(nn.ModuleDict, model.pts_bbox_head.task_heads[0])
    last = cast(nn.Conv2d, list(heads["heatmap"].children())[-1])
    nn.init.constant_(last.get_parameter("bias"), HEATMAP_BIAS)
    return model


def _spreads(config: CenterPointConfig) -> list[float]:
    """How far each channel of decorated points varies.

    Coordinates vary by tens of metres and time lags by tenths of a second: with equal weights the
    latter would take most of a training to be noticed.
    """
    intensity = 60.0 * config.intensity_scale
    raw = {"x": 25.0, "y": 25.0, "z": 1.5, "intensity": intensity, "time_lag": 0.05}
    half_cell = [size / 4 for size in config.voxel_size]
    center = [*half_cell[:2], 1.5][: config.center_offset_dims]
    return [*(raw[name] for name in config.point_features), *half_cell[:2], 0.3, *center]


def batch_canvas(config: CenterPointConfig, features: Tensor, cells: Tensor, size: int) -> Tensor:
    """Pillar features ``[P, 1, F]`` on the canvases ``[size, F, ny, nx]``, in channels-last memory.

    ``cells`` int64 ``[P]`` is ``(frame * ny + y) * nx + x``, without repetition.
    """
    nx, ny = config.grid_size
    rows = features.flatten(1)
    canvas = rows.new_zeros(size * ny * nx, rows.shape[1]).index_copy(0, cells, rows)
    return canvas.reshape(size, ny, nx, -1).permute(0, 3, 1, 2)


class BatchNetwork:
    """Runs a model on batches of pillars.

    Args:
        model: Trained in place.
        half: Run everything after the encoder in bfloat16 where that is accurate enough. The encoder
            stays in float32: bfloat16 would round a coordinate of 100 m to half a metre.
        compiled: Compile both components with ``torch.compile``.
    """

    def __init__(self, model: CenterPoint, *, half: bool = False, compiled: bool = False) -> None:
        self.model = model
        self._half = half
        self._encode: Callable[[Tensor], Tensor] = model.pts_voxel_encoder
        self._forward_canvas: Callable[[Tensor], tuple[Tensor, ...]] = model.forward_canvas
        if compiled:
            # Every batch has another number of pillars.
            self._encode = torch.compile(self._encode, dynamic=True)
            self._forward_canvas = torch.compile(self._forward_canvas)

    def __call__(self, pillars: BatchPillars) -> dict[str, Tensor]:
        """Outputs of the head by name ``[B, c, h, w]`` in mmdet3d's convention."""
        config = self.model.config
        canvas = batch_canvas(config, self._encode(pillars.features), pillars.cells, pillars.size)
        with torch.autocast(canvas.device.type, torch.bfloat16, enabled=self._half):
            outputs = self._forward_canvas(canvas)
        return dict(zip(config.head_outputs, outputs, strict=True))
