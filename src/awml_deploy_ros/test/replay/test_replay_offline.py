"""Clouds of a bag through the node's worker: transforms, drops, order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clouds import truncated_cloud
from fakes import CLASSES, FakePipeline, FakeState, inference_failure
from replay_bags import MS, PERIOD_MS, START_MS, cloud_at, pose_at, split_drive, write_drive

from awml_deploy_core.errors import BagError
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.parameters import AT_START
from awml_deploy_ros.replay.node_settings import NodeValues
from awml_deploy_ros.replay.offline import OpenNode, ReplayedCloud, replayed
from awml_deploy_ros.settings import NodeSettings


def node_of(state: FakeState | None = None, **parameters: object) -> OpenNode:
    values = {spec.name: spec.default for spec in AT_START} | {"model_path": "fake"} | parameters
    return OpenNode(
        NodeValues(NodeSettings.from_values(values), {}), FakePipeline(state or FakeState()), CLASSES
    )


def run(source: CloudTopic, node: OpenNode, **options: object) -> list[ReplayedCloud]:
    return list(replayed(source, node, notes=[], **options))  # type: ignore[arg-type]


def clouds(count: int) -> list:
    return [(at, cloud_at(at)) for at in range(0, count * PERIOD_MS, PERIOD_MS)]


def test_past_sweeps_are_moved_by_the_recorded_transforms(tmp_path: Path) -> None:
    state = FakeState()
    # Received before the clouds that they belong to, around their stamps.
    poses = [(at, pose_at(at)) for at in range(0, 301, 20)]
    found = run(write_drive(tmp_path / "bag", clouds(3), poses), node_of(state))
    assert [cloud.fate.frame.num_past_sweeps for cloud in found] == [0, 1, 1]
    past = state.samples[1].sweeps[1]
    # A second of 10 m/s is ten metres; the past sweep lies a metre behind.
    assert np.allclose(past.transform[:3, 3], [-1.0, 0.0, 0.0])
    assert past.time_lag == pytest.approx(0.1)


@pytest.mark.parametrize(("late_ms", "past"), [(40, 1), (60, 0)])
def test_a_late_transform_is_waited_for_in_the_time_of_the_recording(
    tmp_path: Path, late_ms: int, past: int
) -> None:
    """However fast the run is, 50 ms are those between receptions."""
    poses = [(at + late_ms, pose_at(at)) for at in range(0, 301, PERIOD_MS)]
    source = write_drive(tmp_path / "bag", clouds(3), poses)
    found = run(source, node_of(**{"densification_params.tf_timeout_ms": 50.0}))
    assert [cloud.fate.frame.num_past_sweeps for cloud in found] == [0, past, past]
    reasons = {cloud.fate.frame.no_past_sweeps_reason for cloud in found[1:]}
    assert reasons == ({""} if past else {"late_tf"})


def test_waiting_takes_no_later_cloud_out_of_its_order(tmp_path: Path) -> None:
    # Nobody waits for a frame of which nothing is known yet.
    poses = [(0, pose_at(0)), *((310, pose_at(at)) for at in range(0, 301, 20))]
    source = write_drive(tmp_path / "bag", clouds(4), poses)
    found = run(source, node_of(**{"densification_params.tf_timeout_ms": 10000.0}))
    assert [cloud.fate.index for cloud in found] == [0, 1, 2, 3]
    assert [cloud.fate.frame.num_past_sweeps for cloud in found] == [0, 1, 1, 1]


def test_every_cloud_has_a_fate_and_the_bad_ones_a_reason(tmp_path: Path) -> None:
    good = cloud_at(0)
    bad = truncated_cloud()
    source = write_drive(
        tmp_path / "bag",
        [(0, good), (1, bad), (2, b"\0\1\0"), (3, b"\0\1\0\0" + bytes(30)), (4, cloud_at(4))],
    )
    found = run(source, node_of())
    assert [cloud.fate.fate for cloud in found] == [
        *("processed", "malformed", "malformed", "malformed", "processed"),
    ]
    assert all(cloud.fate.detail for cloud in found[1:4])
    # A cloud that is refused is no past sweep of the next.
    assert [cloud.fate.stamp_ns for cloud in found if cloud.fate.frame] == [
        START_MS * MS,
        (START_MS + 4) * MS,
    ]


def test_a_failing_pipeline_is_a_reason_too(tmp_path: Path) -> None:
    source = write_drive(tmp_path / "bag", clouds(2))
    found = run(source, node_of(FakeState(failure=inference_failure())))
    assert [cloud.fate.fate for cloud in found] == ["inference_error"] * 2


def test_only_some_clouds_reach_the_node(tmp_path: Path) -> None:
    poses = [(at, pose_at(at)) for at in range(0, 501, 20)]
    state = FakeState()
    found = run(write_drive(tmp_path / "bag", clouds(4), poses), node_of(state), only={0, 3})
    assert [cloud.fate.index for cloud in found] == [0, 3]
    assert state.samples[1].sweeps[1].time_lag == pytest.approx(0.3)


def test_a_superseded_cloud_is_a_past_sweep(tmp_path: Path) -> None:
    poses = [(at, pose_at(at)) for at in range(0, 501, 20)]
    state = FakeState()
    source = write_drive(tmp_path / "bag", clouds(4), poses)
    run(source, node_of(state), only={0, 3}, superseded={2})
    assert state.samples[1].sweeps[1].time_lag == pytest.approx(0.1)


def test_a_bag_of_several_files_is_one_bag(tmp_path: Path) -> None:
    whole = clouds(4)
    source = split_drive(tmp_path / "bag", whole[:2], whole[2:])
    assert source.count == 4
    found = run(source, node_of())
    assert [cloud.fate.stamp_ns for cloud in found] == [(START_MS + at) * MS for at, _ in whole]


def test_a_damaged_bag_is_one_error(tmp_path: Path) -> None:
    source = write_drive(tmp_path / "bag", clouds(2))
    (file,) = (tmp_path / "bag").glob("*.db3")
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(BagError):
        run(source, node_of())
