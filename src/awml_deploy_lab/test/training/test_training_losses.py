from __future__ import annotations

import numpy as np
import torch
from training_scenes import TINY_CONFIG, boxes_as_batch

from awml_deploy_lab.training.losses import (
    BOX_WEIGHT,
    CODE_WEIGHTS,
    LOSS_TERMS,
    gaussian_focal_loss,
    loss_terms,
    regression_losses,
)
from awml_deploy_lab.training.targets import REGRESSION, TargetMaker

CAR = [3.1, -4.7, 0.8, 4.4, 1.9, 1.6, 2.5, 3.0, -1.5]


def random_outputs(batch_size=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    w, h = TINY_CONFIG.output_size
    return {
        name: torch.randn((batch_size, channels, h, w), generator=generator)
        for name, channels in TINY_CONFIG.head_outputs.items()
    }


def targets_of(*boxes, radius=1):
    batch = boxes_as_batch([list(box) for box in boxes], [0] * len(boxes), [5] * len(boxes))
    return TargetMaker(TINY_CONFIG, min_points=1, regression_radius=radius).make(batch)


def test_focal_loss_is_the_plain_formula():
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    target = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    target[0, 0, 0, 0] = target[1, 2, 3, 4] = 1
    p = 1 / (1 + np.exp(-logits.numpy()))
    t = target.numpy()
    expected = -np.where(t == 1, (1 - p) ** 2 * np.log(p), (1 - t) ** 4 * p**2 * np.log(1 - p)).sum()
    np.testing.assert_allclose(gaussian_focal_loss(logits, target), expected, rtol=1e-5)


def test_focal_loss_stays_finite_at_extreme_logits():
    logits = torch.tensor([-200.0, 200.0, -200.0, 200.0], dtype=torch.bfloat16, requires_grad=True)
    loss = gaussian_focal_loss(logits, torch.tensor([1.0, 1.0, 0.0, 0.0]))
    loss.backward()
    assert loss.dtype == torch.float32
    np.testing.assert_allclose(loss.item(), 400, rtol=1e-6)
    assert torch.isfinite(logits.grad).all()


def test_regression_is_a_weighted_mean_of_absolute_errors():
    outputs, targets = random_outputs(), targets_of(CAR)
    got = regression_losses(outputs, targets)
    start = 0
    for name, channels in REGRESSION.items():
        maps = outputs[name][0].flatten(1).numpy()
        total = 0.0
        for cell, weight, values in zip(targets.cells, targets.weights, targets.values, strict=True):
            wanted = values[start : start + channels].numpy()
            total += float(weight) * np.abs(maps[:, cell] - wanted).sum()
        code = CODE_WEIGHTS[name]
        np.testing.assert_allclose(got[name], BOX_WEIGHT * code * total / targets.weights.sum(), rtol=1e-5)
        start += channels


def test_unknown_velocities_cost_nothing_and_have_no_gradient():
    outputs = {name: value.requires_grad_() for name, value in random_outputs().items()}
    targets = targets_of([*CAR[:7], np.nan, np.nan])
    terms = loss_terms(outputs, targets)
    assert torch.isfinite(terms).all()
    assert terms[LOSS_TERMS.index("vel")] == 0
    terms.sum().backward()
    assert outputs["vel"].grad.abs().sum() == 0
    assert outputs["rot"].grad.abs().sum() > 0
    assert all(torch.isfinite(value.grad).all() for value in outputs.values())


def test_a_batch_without_boxes_has_only_the_loss_of_empty_cells():
    outputs = random_outputs()
    terms = loss_terms(outputs, targets_of())
    np.testing.assert_allclose(
        terms[0], gaussian_focal_loss(outputs["heatmap"], torch.zeros(())), rtol=1e-6
    )
    assert terms[1:].abs().sum() == 0


def test_the_heatmap_is_divided_by_the_number_of_boxes():
    outputs, targets = random_outputs(), targets_of(CAR, [-5.0, *CAR[1:]])
    total = gaussian_focal_loss(outputs["heatmap"], targets.heatmap)
    np.testing.assert_allclose(loss_terms(outputs, targets)[0], total / 2, rtol=1e-6)
