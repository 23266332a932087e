from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from batch_boxes import infer_batch
from training_scenes import TINY_CONFIG, random_batch, tiny_recipe

from awml_deploy_lab.training.augment import Augmentation, apply_changes, draw_changes
from awml_deploy_lab.training.targets import TargetMaker
from awml_deploy_lab.training.trainer import Trainer
from awml_deploy_lab.training.voxelize import BatchVoxelizer

if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def on(batch, device):
    return replace(
        batch, **{k: v.to(device) for k, v in vars(batch).items() if isinstance(v, torch.Tensor)}
    )


def test_pillars_and_targets_are_those_of_the_cpu():
    batch = random_batch(np.random.default_rng(0), 3, clutter=3000)
    results = []
    for device in (CPU, GPU):
        moved = on(batch, device)
        pillars = BatchVoxelizer(TINY_CONFIG, device).voxelize(moved)
        targets = TargetMaker(TINY_CONFIG, min_points=1, regression_radius=1).make(moved)
        changed = apply_changes(moved, draw_changes(Augmentation(), 3, 1, 2, device))
        results.append([*vars(pillars).values(), *vars(targets).values(), changed.points, changed.boxes])
    for expected, got in zip(*results, strict=True):
        if isinstance(expected, torch.Tensor):
            torch.testing.assert_close(got.cpu(), expected, rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_steps_learn_and_the_model_can_be_looked_at(compiled):
    trainer = Trainer(tiny_recipe(steps=60, lr=1e-2), GPU, compiled=compiled)
    batch = on(random_batch(np.random.default_rng(0), 2), GPU)
    measures = torch.stack([trainer.step(batch) for _ in range(60)])
    assert measures.isfinite().all()
    assert measures[-10:, 0].mean() < 0.5 * measures[0, 0]
    assert len(infer_batch(trainer.average.model, batch, half=True)) == 2


def test_a_step_waits_for_the_number_of_pillars_only():
    trainer = Trainer(tiny_recipe(), GPU)
    batch = on(random_batch(np.random.default_rng(0), 2), GPU)
    trainer.step(batch)
    voxelize = trainer._voxelizer.voxelize

    def allowed(changed):
        torch.cuda.set_sync_debug_mode("default")
        try:
            return voxelize(changed)
        finally:
            torch.cuda.set_sync_debug_mode("error")

    trainer._voxelizer.voxelize = allowed
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
