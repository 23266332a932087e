from __future__ import annotations

import numpy as np
import pytest
import torch

from awml_deploy_core.errors import ConfigError
from awml_deploy_lab.simulation.road_users import CLASS_NAMES
from awml_deploy_lab.training.batch import TrainingBatch
from awml_deploy_lab.training.simulated import SimulatedBatches

CPU = torch.device("cpu")


def source(seed: int = 0, past: int = 1) -> SimulatedBatches:
    return SimulatedBatches(2, past, CLASS_NAMES, CPU, seed, workers=0)


@pytest.fixture(scope="module")
def batch() -> TrainingBatch:
    return next(source().batches(3))


def test_a_step_gives_the_same_batch_wherever_the_stream_starts(batch: TrainingBatch) -> None:
    stream = source().batches(2)
    next(stream)
    again = next(stream)
    for name in ("points", "point_frame", "boxes", "labels", "box_frame", "num_points"):
        assert torch.equal(getattr(again, name), getattr(batch, name))
    assert next(source(1).batches(3)).points.shape != batch.points.shape


def test_frames_have_the_current_sweep_first(batch: TrainingBatch) -> None:
    assert batch.size == 2
    for frame in range(2):
        lags = batch.points[batch.point_frame == frame, 4]
        assert lags[0] == 0
        assert (lags.diff() >= 0).all()
        assert len(lags.unique()) == 2
    assert (batch.point_frame.diff() >= 0).all()
    assert (batch.box_frame.diff() >= 0).all()


def test_points_of_both_sweeps_are_on_the_boxes(batch: TrainingBatch) -> None:
    checked = 0
    for index in torch.nonzero(batch.num_points > 40).squeeze(1).tolist():
        x, y, z, length, width, height, yaw, vx, vy = batch.boxes[index].tolist()
        points = batch.points[batch.point_frame == batch.box_frame[index]].numpy()
        # Past points lie where the box was.
        dx, dy = points[:, 0] - x + vx * points[:, 4], points[:, 1] - y + vy * points[:, 4]
        along, across = np.cos(yaw) * dx + np.sin(yaw) * dy, np.cos(yaw) * dy - np.sin(yaw) * dx
        inside = (np.abs(along) < length / 2 + 0.25) & (np.abs(across) < width / 2 + 0.25)
        inside &= np.abs(points[:, 2] - z) < height / 2 + 0.25
        assert inside.sum() > 0.9 * int(batch.num_points[index])
        checked += 1
    assert checked > 10


def test_no_past_sweeps() -> None:
    assert (next(source(past=0).batches(0)).points[:, 4] == 0).all()


def test_other_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match="simulator's"):
        SimulatedBatches(1, 0, ("CAR",), CPU, 0)
