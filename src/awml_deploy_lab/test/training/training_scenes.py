"""Small frames with boxes of returns on a noisy ground, for tests of the training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from awml_deploy_lab.training.batch import TrainingBatch
from awml_deploy_lab.training.recipe import Recipe
from awml_extractors.centerpoint.config import CenterPointConfig

TINY = {
    "class_names": ("CAR", "PEDESTRIAN"),
    "point_cloud_range": (-12.8, -12.8, -2.0, 12.8, 12.8, 4.0),
    "voxel_size": (0.4, 0.4, 6.0),
    "max_points_per_voxel": 8,
    "pfn_channels": (8, 16),
    "backbone_channels": (16, 16, 16),
    "backbone_layers": (1, 1, 1),
    "backbone_strides": (1, 2, 2),
    "neck_channels": (8, 8, 8),
    "neck_strides": (1.0, 2.0, 4.0),
    "head_channels": 16,
    "head_kernel": 1,
}
"""A model that learns on a CPU in seconds."""
TINY_CONFIG = CenterPointConfig.model_validate(TINY)
SIZES = np.array([[4.4, 1.9, 1.6], [0.7, 0.7, 1.7]])
"""Length, width, height of the classes [m]."""


def tiny_recipe(**values: object) -> Recipe:
    """A recipe of the tiny model."""
    return Recipe.model_validate({"name": "tiny", "model": TINY, "batch_size": 2, "steps": 6, **values})


def box_points(rng: np.random.Generator, box: np.ndarray, count: int) -> np.ndarray:
    """Points ``[count, 3]`` on the sides of a box."""
    unit = rng.uniform(-0.5, 0.5, (count, 3))
    side = rng.integers(0, 2, count)
    unit[np.arange(count), side] = np.where(rng.random(count) < 0.5, -0.499, 0.499)
    local = unit * box[3:6]
    cos, sin = np.cos(box[6]), np.sin(box[6])
    x, y = cos * local[:, 0] - sin * local[:, 1], sin * local[:, 0] + cos * local[:, 1]
    return np.stack([x, y, local[:, 2]], axis=1) + box[:3]


def random_batch(
    rng: np.random.Generator, size: int, *, past: bool = True, clutter: int = 400
) -> TrainingBatch:
    """Frames of four road users 8 m apart, with one past sweep 0.1 s ago if ``past``."""
    points, frames, boxes, labels, box_frames = [], [], [], [], []
    for frame in range(size):
        sweeps: list[list[np.ndarray]] = [[], []]
        for x, y in ((-6, -6), (-6, 6), (6, -6), (6, 6)):
            label = int(rng.integers(0, 2))
            size_m = SIZES[label] * rng.uniform(0.9, 1.1, 3)
            center = np.array([x, y]) + rng.uniform(-2, 2, 2)
            velocity = rng.uniform(-5, 5, 2)
            box = np.array([*center, size_m[2] / 2, *size_m, rng.uniform(-np.pi, np.pi), *velocity])
            for lag in range(1 + past):
                moved = box.copy()
                moved[:2] -= 0.1 * lag * velocity
                sweeps[lag].append(box_points(rng, moved, 60))
            boxes.append(box)
            labels.append(label)
            box_frames.append(frame)
        for lag in range(1 + past):
            ground = np.column_stack([rng.uniform(-14, 14, (clutter, 2)), rng.normal(0, 0.02, clutter)])
            xyz = rng.permutation(np.concatenate([*sweeps[lag], ground]))
            intensity = rng.integers(0, 256, len(xyz))
            points.append(np.column_stack([xyz, intensity, np.full(len(xyz), 0.1 * lag)]))
            frames.append(np.full(len(xyz), frame))
    return TrainingBatch(
        points=torch.from_numpy(np.concatenate(points)).float(),
        point_frame=torch.from_numpy(np.concatenate(frames)).long(),
        boxes=torch.tensor(np.array(boxes)).float(),
        labels=torch.tensor(labels),
        box_frame=torch.tensor(box_frames),
        num_points=torch.full((len(labels),), 60 * (1 + past)),
        size=size,
    )


@dataclass(frozen=True)
class RandomScenes:
    """A batch a step, repeating after ``period`` steps."""

    size: int
    period: int = 2**31
    past: bool = True

    def batches(self, start_step: int) -> Iterator[TrainingBatch]:
        step = start_step
        while True:
            yield random_batch(np.random.default_rng(step % self.period), self.size, past=self.past)
            step += 1


def boxes_as_batch(boxes: list[list[float]], labels: list[int], num_points: list[int]) -> TrainingBatch:
    """One frame of boxes without any point."""
    return TrainingBatch(
        points=torch.zeros(0, 5),
        point_frame=torch.zeros(0, dtype=torch.int64),
        boxes=torch.tensor(boxes).reshape(-1, 9),
        labels=torch.tensor(labels, dtype=torch.int64),
        box_frame=torch.zeros(len(labels), dtype=torch.int64),
        num_points=torch.tensor(num_points, dtype=torch.int64),
        size=1,
    )
