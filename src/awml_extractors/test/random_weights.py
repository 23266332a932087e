"""Random weights that keep a pipeline busy: activations keep their scale, and some boxes come out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from random_clouds import random_points
from torch import nn

from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.pillars import Voxelizer

_THRESHOLD = math.log(0.35 / 0.65)
"""Logit of Autoware's default score threshold."""
_CELLS = 20
"""Cells of each class above the threshold on the calibration's cloud."""
_MEANS = {"dim": (math.log(4.2), math.log(1.9), math.log(1.7)), "rot": (0.0, 1.0)}
"""Of the first channels of a branch, in mmdet3d's convention; others are about 0."""
_SPREAD = 0.15


def random_model(config: CenterPointConfig, points: Any = None) -> CenterPoint:
    """A CenterPoint in eval mode on the CPU; the same arguments give the same weights.

    Args:
        config: Of the model.
        points: float32 [N, 4]: a cloud like those that it will see; on others, it may find thousands of
            boxes of any size.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = CenterPoint(config)
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                # One pass sets the statistics.
                module.momentum = 1.0
        cloud = random_points(20_000, 99) if points is None else points
        model.train().forward_canvas(_canvas(model, cloud))
        outputs = model.eval().forward_canvas(_canvas(model, cloud))
        branches = model.pts_bbox_head.task_heads[0].named_children()
        for (name, branch), values in zip(branches, outputs, strict=True):
            _scale_last_layer(name, list(branch.children())[-1], values.transpose(0, 1).flatten(1))
    return model


def _scale_last_layer(name: str, last: nn.Module, values: torch.Tensor) -> None:
    spread = 1.0 if name == "heatmap" else _SPREAD
    gain = spread / values.std(dim=1).clamp_min(1e-6)
    last.get_parameter("weight").mul_(gain.reshape(-1, 1, 1, 1))
    scaled = values * gain[:, None]
    if name == "heatmap":
        cells = min(_CELLS, scaled.shape[1] // 4)
        # Between two cells: on one, rounding would decide.
        shift = _THRESHOLD - scaled.topk(cells + 1, dim=1).values[:, -2:].mean(dim=1)
    else:
        means = torch.zeros(len(scaled))
        chosen = _MEANS.get(name, ())
        means[: len(chosen)] = torch.tensor(chosen)
        shift = means - scaled.mean(dim=1)
    bias = last.get_parameter("bias")
    bias.copy_(bias * gain + shift)


def _canvas(model: CenterPoint, points: Any) -> torch.Tensor:
    columns = PointColumns.from_array(points)
    pillars = Voxelizer(model.config).voxelize(PointCloudFrame.single(columns))
    cells = pillars.coordinates.astype(np.int64) @ [model.config.grid_size[0], 1]
    features = model.pts_voxel_encoder(torch.from_numpy(pillars.features.copy()))
    return model.scatter(features, torch.from_numpy(cells))


def write_random_checkpoint(config: CenterPointConfig, path: Path, points: Any) -> None:
    """The weights of :func:`random_model` as mmengine writes a checkpoint."""
    weights = random_model(config, points).state_dict()
    torch.save({"meta": {}, "state_dict": weights, "message_hub": {}}, path)
