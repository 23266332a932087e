from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from evaluation_frames import CLASSES
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.evaluation.detection3d_task import Detection3dTask
from awml_deploy_core.evaluation.store import FrameStore
from awml_deploy_core.evaluation.task import TaskFrame
from awml_deploy_core.ground_truth import GroundTruth

KEY = {"bundle": "abc", "options": {"score": 0.1}}


def test_results_are_there_for_the_next_run(tmp_path: Path) -> None:
    with FrameStore(tmp_path, KEY) as store:
        store.append("0", {"a": 1})
        store.append("1", {"a": 2})
        store.append("0", {"a": 3})
    with FrameStore(tmp_path, KEY) as store:
        assert len(store) == 2
        assert (store.get("0"), store.get("1"), store.get("2")) == ({"a": 3}, {"a": 2}, None)
    with FrameStore(tmp_path, {**KEY, "bundle": "other"}) as store:
        assert len(store) == 0
    lines = [json.loads(line) for line in store.path.read_text().splitlines()]
    assert lines == [{"key": {**KEY, "bundle": "other"}}]


@given(cut=st.integers(0, 200))
def test_a_file_that_was_cut_off_keeps_every_whole_line(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    with FrameStore(folder, KEY) as store:
        for index in range(3):
            store.append(str(index), {"value": index})
    content = store.path.read_bytes()
    store.path.write_bytes(content[: len(content) - min(cut, len(content))])
    whole = store.path.read_bytes().count(b"\n")
    with FrameStore(folder, KEY) as again:
        assert len(again) == max(0, whole - 1)
        again.append("9", {"value": 9})
    with FrameStore(folder, KEY) as last:
        assert len(last) == max(0, whole - 1) + 1
        assert last.get("9") == {"value": 9}


def test_a_restart_forgets(tmp_path: Path) -> None:
    with FrameStore(tmp_path, KEY) as store:
        store.append("0", {})
    with FrameStore(tmp_path, KEY, restart=True) as store:
        assert store.get("0") is None


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    with FrameStore(tmp_path, KEY), pytest.raises(ArtifactError, match="another process"):
        FrameStore(tmp_path, KEY)
    FrameStore(tmp_path, KEY).close()


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError):
        FrameStore(tmp_path / "file" / "folder", KEY)


FLOATS = st.floats(width=32)


@given(st.data())
def test_frames_come_back_bit_by_bit(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 4))

    def column(*shape: int) -> np.ndarray:
        return data.draw(arrays(np.float32, (count, *shape), elements=FLOATS))

    found = Detections(
        column(3),
        column(3),
        column(),
        column(2),
        column(),
        data.draw(arrays(np.int32, count, elements=st.integers(0, 2))),
        CLASSES,
        data.draw(st.booleans()),
    )
    truth = GroundTruth(found, np.arange(count, dtype=np.int32), np.full(count, -1, np.int32))
    task = Detection3dTask()
    text = json.dumps(task.encode(TaskFrame("s", found, truth)), allow_nan=False)
    back = task.decode("s", json.loads(text))
    assert back.truth is not None
    for one in (back.output, back.truth.boxes):
        for name in ("centers", "sizes", "yaws", "velocities", "scores", "labels"):
            np.testing.assert_array_equal(getattr(one, name), getattr(found, name))
        assert (one.class_names, one.has_velocity) == (found.class_names, found.has_velocity)
    np.testing.assert_array_equal(back.truth.num_points, truth.num_points)
    assert task.decode("s", task.encode(TaskFrame("s", found))).truth is None


def test_not_a_number_is_kept() -> None:
    values = np.array([[math.nan, 1.0]], np.float32)
    empty = Detections.empty(CLASSES)
    one = Detections(
        np.zeros((1, 3), np.float32),
        np.ones((1, 3), np.float32),
        np.zeros(1, np.float32),
        values,
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        CLASSES,
    )
    task = Detection3dTask()
    back = task.decode("s", task.encode(TaskFrame("s", one)))
    np.testing.assert_array_equal(back.output.velocities, values)
    assert len(task.decode("s", task.encode(TaskFrame("s", empty))).output) == 0
