from __future__ import annotations

import numpy as np
import pytest

from awml_deploy_lab.simulation.drive import SimulatedDrive
from awml_deploy_lab.simulation.lidar import LIDARS
from awml_deploy_lab.simulation.parameters import HELD_OUT
from awml_deploy_lab.simulation.sweep import SimulatedSweep


@pytest.fixture(scope="module")
def drive() -> SimulatedDrive:
    return SimulatedDrive(3, HELD_OUT, LIDARS["pandar64"], duration=2.0)


@pytest.fixture(scope="module")
def sweep(drive: SimulatedDrive) -> SimulatedSweep:
    return drive.sweep(7)


def test_a_sweep_looks_like_a_64_beam_lidar(sweep: SimulatedSweep) -> None:
    assert 50_000 < len(sweep.xyz) < 64 * 1800
    assert sweep.xyz.dtype == np.float32
    assert sweep.beam.max() == 63
    assert (np.diff(sweep.time) >= 0).all()
    assert 0 < sweep.time[0] < sweep.time[-1] < 0.1
    assert np.ptp(sweep.intensity) > 100
    distance = np.linalg.norm(sweep.raw_xyz, axis=1)
    assert distance.max() < 121
    assert distance.min() > 0.9


def test_same_seed_same_bits_in_any_order(drive: SimulatedDrive, sweep: SimulatedSweep) -> None:
    again = SimulatedDrive(3, HELD_OUT, LIDARS["pandar64"], duration=2.0)
    again.sweep(2)
    repeated = again.sweep(7)
    for name in ("xyz", "raw_xyz", "intensity", "beam", "time", "pose"):
        assert getattr(repeated, name).tobytes() == getattr(sweep, name).tobytes()
    np.testing.assert_array_equal(repeated.ground_truth.boxes.centers, sweep.ground_truth.boxes.centers)
    assert (
        SimulatedDrive(4, HELD_OUT, LIDARS["pandar64"], duration=2.0).sweep(7).xyz.shape != sweep.xyz.shape
    )


def local(xyz: np.ndarray, sweep: SimulatedSweep, index: int) -> np.ndarray:
    boxes = sweep.ground_truth.boxes
    offset = xyz - boxes.centers[index]
    cos, sin = np.cos(boxes.yaws[index]), np.sin(boxes.yaws[index])
    along, across = cos * offset[:, 0] + sin * offset[:, 1], cos * offset[:, 1] - sin * offset[:, 0]
    return np.stack([along, across, offset[:, 2]], axis=1)


def test_boxes_hold_the_points_that_are_counted(sweep: SimulatedSweep) -> None:
    truth = sweep.ground_truth
    seen = np.nonzero(truth.num_points >= 30)[0]
    assert len(seen) >= 8
    held = 0
    for index in seen:
        half = truth.boxes.sizes[index] / 2 + [0.12, 0.12, 0.2]
        inside = (np.abs(local(sweep.xyz, sweep, index)) < half).all(axis=1).sum()
        held += min(inside, truth.num_points[index])
    assert held > 0.97 * truth.num_points[seen].sum()


def test_road_users_move_as_their_velocities_say(drive: SimulatedDrive) -> None:
    first, second = drive.sweep(4), drive.sweep(5)

    def in_map(sweep: SimulatedSweep) -> dict[int, np.ndarray]:
        centers = sweep.ground_truth.boxes.centers.astype(np.float64)
        places = centers @ sweep.pose[:3, :3].T + sweep.pose[:3, 3]
        return dict(zip(sweep.ground_truth.track_ids.tolist(), places, strict=True))

    before, after = in_map(first), in_map(second)
    boxes = first.ground_truth.boxes
    velocities = boxes.velocities.astype(np.float64) @ first.pose[:2, :2].T
    compared = 0
    for track, velocity in zip(first.ground_truth.track_ids.tolist(), velocities, strict=True):
        # Near the seam behind the vehicle, a box is seen at the start of one revolution and the end
        # of the other.
        place = boxes.centers[first.ground_truth.track_ids.tolist().index(track)]
        if track in after and place[0] > 0:
            moved = (after[track] - before[track])[:2]
            assert np.abs(moved - 0.1 * velocity).max() < 0.1
            compared += 1
    assert compared > 10
    assert np.linalg.norm(velocities, axis=1).max() > 3


def test_what_stands_still_coincides_in_the_map(drive: SimulatedDrive) -> None:
    parts = []
    for index in (2, 12):
        sweep = drive.sweep(index)
        world = sweep.xyz @ sweep.pose[:3, :3].T + sweep.pose[:3, 3]
        parts.append(world[sweep.xyz[:, 2] > 2.5])
    first, second = (np.unique(np.round(part / 0.5).astype(int), axis=0) for part in parts)
    common = {tuple(cell) for cell in first.tolist()} & {tuple(cell) for cell in second.tolist()}
    assert len(common) > 0.4 * min(len(first), len(second))


def test_raw_points_are_the_motion_corrected_ones_before_correction(drive: SimulatedDrive) -> None:
    sweep = drive.sweep(10)
    mounted = sweep.raw_xyz.astype(np.float64) @ sweep.lidar_to_base[:3, :3].T + sweep.lidar_to_base[:3, 3]
    early = sweep.time < 0.005
    assert np.abs(mounted[early] - sweep.xyz[early]).max() < 0.2
    poses = {}
    for index in np.linspace(0, len(sweep.time) - 1, 60).astype(int):
        stamp = sweep.stamp_ns + int(float(sweep.time[index]) * 1e9)
        poses[index] = np.linalg.inv(sweep.pose) @ drive.pose_at(stamp)
        corrected = poses[index][:3, :3] @ mounted[index] + poses[index][:3, 3]
        np.testing.assert_allclose(corrected, sweep.xyz[index], atol=0.02)
    moved = np.linalg.norm(poses[max(poses)][:3, 3])
    assert moved > 0.2


def test_the_ego_vehicle_stands_on_the_ground(drive: SimulatedDrive) -> None:
    sweep = drive.sweep(0)
    near = (np.abs(sweep.xyz[:, 0]) < 12) & (np.abs(sweep.xyz[:, 1]) < 1.2)
    assert near.sum() > 500
    assert abs(np.percentile(sweep.xyz[near, 2], 30)) < 0.1
