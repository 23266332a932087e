from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_scenes import random_batch

from awml_deploy_lab.training.augment import Augmentation, FrameChanges, apply_changes, draw_changes

CPU = torch.device("cpu")
BATCH = random_batch(np.random.default_rng(0), 3, clutter=50)


def inside(batch):
    """Whether each point ``[N, M]`` is in each box of its frame."""
    offset = batch.points[:, None, :3] - batch.boxes[None, :, :3]
    cos, sin = batch.boxes[:, 6].cos(), batch.boxes[:, 6].sin()
    along = offset[..., 0] * cos + offset[..., 1] * sin
    across = offset[..., 1] * cos - offset[..., 0] * sin
    local = torch.stack([along, across, offset[..., 2]], dim=2)
    same = batch.point_frame[:, None] == batch.box_frame[None]
    return (local.abs() <= batch.boxes[None, :, 3:6] / 2 * (1 + 1e-4)).all(dim=2) & same


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(0, 10**6))
def test_points_stay_in_their_boxes(seed, step):
    changes = draw_changes(Augmentation(past_drop_probability=0.0), 3, seed, step, CPU)
    changed = apply_changes(BATCH, changes)
    before = inside(BATCH)
    assert before.sum() > 300
    assert torch.equal(before, inside(changed))
    lag = BATCH.points[:, 4] > 0
    assert torch.equal(lag, changed.points[:, 4] > 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_velocities_turn_and_scale_with_the_boxes(seed):
    changes = draw_changes(Augmentation(past_drop_probability=0.0), 3, seed, 1, CPU)
    later = BATCH.boxes.clone()
    later[:, :2] += later[:, 7:9]
    moved = apply_changes(BATCH, changes).boxes
    then = apply_changes(type(BATCH)(**{**BATCH.__dict__, "boxes": later}), changes).boxes
    torch.testing.assert_close(moved[:, :2] + moved[:, 7:9], then[:, :2], rtol=1e-4, atol=1e-4)

    # The heading keeps its angle to the velocity but for the side.
    def angle(boxes):
        turn = torch.atan2(boxes[:, 8], boxes[:, 7]) - boxes[:, 6]
        return torch.cos(turn)

    torch.testing.assert_close(angle(moved), angle(BATCH.boxes), rtol=0, atol=1e-4)


def test_a_known_change_is_made_in_the_documented_order():
    changes = FrameChanges(
        torch.tensor([[-1.0, 1.0]] * 3), torch.tensor([math.pi / 2] * 3), torch.tensor([2.0] * 3),
        torch.tensor([False] * 3),
    )  # fmt: skip
    changed = apply_changes(BATCH, changes)
    x, y, z = BATCH.points[:, :3].unbind(1)
    torch.testing.assert_close(
        changed.points[:, :3], torch.stack([-2 * y, -2 * x, 2 * z], 1), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(changed.points[:, 3:], BATCH.points[:, 3:], rtol=0, atol=0)
    yaw = math.pi - BATCH.boxes[:, 6] + math.pi / 2
    torch.testing.assert_close(changed.boxes[:, 6].sin(), yaw.sin(), atol=1e-5, rtol=0)
    torch.testing.assert_close(changed.boxes[:, 3:6], 2 * BATCH.boxes[:, 3:6])


def test_dropping_the_past_takes_its_points_and_the_velocities_of_that_frame_only():
    changes = draw_changes(Augmentation(False, 0.0, (1.0, 1.0), 0.0), 3, 0, 0, CPU)
    changes.drop_past[1] = True
    changed = apply_changes(BATCH, changes)
    gone = (BATCH.point_frame == 1) & (BATCH.points[:, 4] > 0)
    assert torch.equal(changed.points[:, :3].isnan().all(dim=1), gone)
    assert torch.equal(changed.boxes[:, 7:].isnan().all(dim=1), BATCH.box_frame == 1)
    torch.testing.assert_close(changed.points[~gone], BATCH.points[~gone], rtol=0, atol=1e-6)
    torch.testing.assert_close(changed.boxes[:, :6], BATCH.boxes[:, :6], rtol=0, atol=1e-6)


def test_draws_depend_on_seed_and_step_alone_and_keep_their_limits():
    settings_ = Augmentation(past_drop_probability=0.25)
    first, again = (draw_changes(settings_, 4000, 3, 7, CPU) for _ in range(2))
    assert all(torch.equal(getattr(first, name), getattr(again, name)) for name in vars(first))
    assert not torch.equal(first.yaw, draw_changes(settings_, 4000, 3, 8, CPU).yaw)
    assert not torch.equal(first.yaw, draw_changes(settings_, 4000, 4, 7, CPU).yaw)
    assert 0.2 < first.drop_past.float().mean() < 0.3
    assert first.mirror.mean(dim=0).abs().max() < 0.1
    assert first.yaw.min() < -3.1
    assert first.yaw.max() > 3.1
    assert first.scale.min() >= 0.95
    assert first.scale.max() <= 1.05
