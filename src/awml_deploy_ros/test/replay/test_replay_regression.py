"""Box-level differences of two replays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_bags import boxes, cloud

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.verification import BoxLimits, Status
from awml_deploy_ros.replay.box_diff import RegressionDiff, compare_replays
from awml_deploy_ros.replay.frame_file import (
    FRAMES,
    StoredFrames,
    frames_digest,
    read_frames,
    stored,
    write_frames,
)
from awml_deploy_ros.replay.frames import CloudFate
from awml_deploy_ros.replay.regression import regression_check, summary

MODEL = "ab" * 32


def diff_of(before: list[CloudFate], after: list[CloudFate]) -> RegressionDiff:
    return compare_replays(tuple(stored(before)), tuple(stored(after)), BoxLimits())


def check_of(diff: RegressionDiff):
    return regression_check(diff, StoredFrames(Path("old"), "", MODEL, ()), MODEL)


def test_the_same_frames_pass() -> None:
    frames = [cloud(0, boxes((5, 1), (20, -3))), cloud(1, boxes((6, 1)), past=1)]
    check = check_of(diff_of(frames, frames))
    assert check.status is Status.PASSED
    assert "2 bit by bit equal, 3 boxes unchanged" in check.message


def test_what_is_gone_new_or_changed_is_told_box_by_box() -> None:
    before = [cloud(0, boxes((5, 1), (20, -3), (40, 2)))]
    after = [cloud(0, boxes((5, 1), (20.2, -3), (-30, 2)))]
    diff = diff_of(before, after)
    assert sorted((change.kind, change.box["center"][0]) for change in diff.changes) == [
        *(("changed", 20.0), ("gone", 40.0), ("new", -30.0)),
    ]
    check = check_of(diff)
    assert check.status is Status.FAILED
    assert "1 gone, 1 new, 1 changed in 1 frames" in check.message
    assert "CAR 0.90 at (20.0, -3.0) m is changed: position by 0.2" in check.message
    assert check.details["changes"]


def test_a_car_that_became_a_pedestrian_is_gone_and_new() -> None:
    diff = diff_of([cloud(0, boxes((5, 1)))], [cloud(0, boxes((5, 1), label=1))])
    assert {change.kind for change in diff.changes} == {"gone", "new"}
    assert any("another class" in change.detail for change in diff.changes)


def test_a_box_that_turned_round_is_changed() -> None:
    turned = replace(boxes((5, 1)), yaws=np.array([np.pi], np.float32))
    (change,) = diff_of([cloud(0, boxes((5, 1)))], [cloud(0, turned)]).changes
    assert "heads the other way" in change.detail


def test_less_than_the_limits_is_no_change() -> None:
    diff = diff_of([cloud(0, boxes((5, 1)))], [cloud(0, boxes((5.001, 1)))])
    assert not diff.changes
    assert diff.identical == 0
    assert diff.worst["position"] == pytest.approx(0.001, abs=1e-6)
    assert check_of(diff).status is Status.PASSED


@pytest.mark.parametrize(("fate", "status"), [("malformed", Status.FAILED), ("superseded", Status.PASSED)])
def test_a_cloud_that_is_dropped_now_is_a_change_unless_the_machine_was_busy(fate, status) -> None:
    before = [cloud(0, boxes((5, 1))), cloud(1, boxes((6, 1)))]
    after = [cloud(0, boxes((5, 1))), cloud(1, None, fate=fate)]
    assert check_of(diff_of(before, after)).status is status


def test_frames_with_other_past_sweeps_are_not_compared() -> None:
    """The third frame has one past sweep in both, but not the same."""
    before = [cloud(0, boxes((5, 1))), cloud(1, boxes((6, 1)), past=1), cloud(2, boxes((7, 1)), past=1)]
    other = cloud(2, boxes((9, 1)), past=1, past_ns=(before[0].stamp_ns,))
    after = [cloud(0, boxes((5, 1))), cloud(1, None, fate="lost_in_transport"), other]
    diff = diff_of(before, after)
    assert diff.compared == 1
    assert len(diff.other_input) == 1
    assert check_of(diff).status is Status.PASSED


def test_a_superseded_cloud_is_the_past_sweep_that_a_processed_one_is() -> None:
    before = [cloud(0, boxes((5, 1))), cloud(1, boxes((6, 1)), past=1), cloud(2, boxes((7, 1)), past=1)]
    after = [cloud(0, boxes((5, 1))), cloud(1, None, fate="superseded"), cloud(2, boxes((7, 1)), past=1)]
    diff = diff_of(before, after)
    assert diff.compared == diff.identical == 2
    assert not diff.other_input


def test_nothing_compared_is_a_failure() -> None:
    assert check_of(diff_of([], [cloud(0, boxes((5, 1)))])).status is Status.FAILED
    assert check_of(diff_of([cloud(0, boxes((5, 1)))], [])).status is Status.FAILED


def test_another_model_is_told() -> None:
    frames = [cloud(0, boxes((5, 1)))]
    assert "another model" in summary(diff_of(frames, frames), same_model=False)


@given(st.lists(st.lists(st.tuples(st.floats(-90, 90), st.floats(-90, 90)), max_size=5), max_size=4))
def test_frames_come_back_bit_by_bit(tmp_path_factory, places) -> None:
    folder = tmp_path_factory.mktemp("frames")
    frames = [cloud(index, boxes(*found), past=min(index, 1)) for index, found in enumerate(places)]
    write_frames(folder / FRAMES, frames, MODEL)
    found = read_frames(folder)
    assert (found.model, found.digest) == (MODEL, frames_digest(frames))
    assert [entry.past_ns for entry in found.clouds] == [entry.past_ns for entry in stored(frames)]
    diff = compare_replays(found.clouds, tuple(stored(frames)), BoxLimits())
    assert diff.identical == len(frames)
    assert not diff.changes


@pytest.mark.parametrize("text", ["", "{}\n", "not json\n", '{"format": "other", "version": 1}\n'])
def test_what_is_no_result_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / FRAMES).write_text(text)
    with pytest.raises(ArtifactError, match="not the result of a replay"):
        read_frames(tmp_path)
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_frames(tmp_path / "nowhere")


def test_the_digest_sees_one_bit(tmp_path: Path) -> None:
    one = boxes((5, 1))
    other = replace(one, scores=np.nextafter(one.scores, np.float32(1)))
    assert frames_digest([cloud(0, one)]) != frames_digest([cloud(0, other)])
    assert frames_digest([cloud(0, one)]) == frames_digest([cloud(0, boxes((5, 1)))])
