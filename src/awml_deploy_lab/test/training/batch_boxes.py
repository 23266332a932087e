"""Boxes of a whole batch on its device, to look at a model while it is being trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from awml_deploy_core.detections import Detections
from awml_deploy_lab.training.batch import TrainingBatch
from awml_deploy_lab.training.network import BatchNetwork
from awml_deploy_lab.training.voxelize import BatchVoxelizer
from awml_extractors.centerpoint.config import MMDET3D_CONVENTION, CenterPointConfig
from awml_extractors.centerpoint.convention import decode_size, decode_yaw
from awml_extractors.centerpoint.model import CenterPoint


@torch.no_grad()
def infer_batch(
    model: CenterPoint,
    batch: TrainingBatch,
    *,
    score_threshold: float = 0.05,
    max_boxes: int = 200,
    half: bool = False,
) -> list[Detections]:
    """Boxes of every frame, best score first; the model is in eval mode afterwards.

    Like mmdet3d, but only cells that are the best of their 3x3 neighbours in their class give a
    box, which makes suppression unnecessary.

    Args:
        model: On the device of the batch.
        half: Run everything after the encoder in bfloat16.
    """
    model.eval()
    pillars = BatchVoxelizer(model.config, batch.points.device).voxelize(batch)
    found = decode_batch(model.config, BatchNetwork(model, half=half)(pillars), max_boxes)
    return [_detections(model.config, rows[rows[:, 0] > score_threshold]) for rows in found.cpu().numpy()]


def decode_batch(config: CenterPointConfig, outputs: dict[str, Tensor], max_boxes: int) -> Tensor:
    """Peaks of head outputs ``[B, c, h, w]`` in mmdet3d's convention.

    Returns:
        float32 ``[B, n, 12]``: score, label, x, y, z [m], the three dims, the two rots, vx, vy.
    """
    heatmap = outputs["heatmap"].float().sigmoid()
    peaks = heatmap.masked_fill(max_pool2d(heatmap, 3, 1, 1) != heatmap, 0.0).flatten(1)
    scores, best = peaks.topk(min(max_boxes, peaks.shape[1]), dim=1)
    w, h = config.output_size
    labels, cells = best // (h * w), best % (h * w)
    at = {
        name: outputs[name]
        .float()
        .flatten(2)
        .gather(2, cells[:, None].expand(-1, outputs[name].shape[1], -1))
        for name in ("reg", "height", "dim", "rot", "vel")
    }
    factor, voxel, low = config.out_size_factor, config.voxel_size, config.point_cloud_range
    x = (cells % w + at["reg"][:, 0]) * factor * voxel[0] + low[0]
    y = (cells // w + at["reg"][:, 1]) * factor * voxel[1] + low[1]
    rest = torch.cat([at[name] for name in ("height", "dim", "rot", "vel")], dim=1)
    return torch.cat([torch.stack([scores, labels, x, y], dim=1), rest], dim=1).transpose(1, 2)


def _detections(
    config: CenterPointConfig, rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> Detections:
    return Detections(
        centers=rows[:, 2:5],
        sizes=decode_size(rows[:, 5:8], MMDET3D_CONVENTION),
        yaws=decode_yaw(rows[:, 8], rows[:, 9], MMDET3D_CONVENTION),
        velocities=rows[:, 10:12],
        scores=rows[:, 0],
        labels=rows[:, 1].astype(np.int32),
        class_names=config.class_names,
        has_velocity=True,
    )
