"""Which frames of a verification are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from awml_deploy_core.detections import Detections
from awml_deploy_core.device import CPU
from awml_deploy_core.family import Sample
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runner import evidence_pictures
from awml_deploy_core.runner.verification_pictures import WorstFrames
from awml_deploy_core.verification import Endpoint, Scenario
from awml_deploy_core.verification.boxes import DetectionsComparator

SCENARIO = Scenario("a vs b", Endpoint("a", CPU), Endpoint("b", CPU))
CLOUD = PointCloudFrame.single(PointColumns.from_array(np.zeros((1, 4), np.float32)))


def cars(*places: float, name: str = "CAR") -> Detections:
    """Cars at places along x [m]."""
    count = len(places)
    centers = np.zeros((count, 3), np.float32)
    centers[:, 0] = places
    ones, zeros = np.ones((count, 3), np.float32), np.zeros(count, np.float32)
    labels = np.zeros(count, np.int32)
    return Detections(centers, ones, zeros, np.zeros((count, 2), np.float32), zeros + 1, labels, (name,))


def truth(boxes: Detections) -> GroundTruth:
    count = len(boxes)
    return GroundTruth(boxes, np.full(count, 5, np.int32), np.full(count, -1, np.int32))


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Title, and whether ground truth is drawn, of every picture."""
    drawn: list[tuple[str, bool]] = []

    def write(path: Path, *_: object, title: str, ground_truth: object, **__: object) -> None:
        drawn.append((title, ground_truth is not None))

    monkeypatch.setattr(evidence_pictures, "write_bev", write)
    return drawn


def noted(*samples: tuple[str, Detections, Detections, GroundTruth | None]) -> WorstFrames:
    frames = WorstFrames()
    for name, reference, test, there in samples:
        comparison = DetectionsComparator().compare(reference, test)
        frames.note(SCENARIO, Sample(name, CLOUD, there), reference, test, comparison)
    return frames


def test_the_frames_that_failed_worst_first(tmp_path: Path, titles: list[tuple[str, bool]]) -> None:
    three = cars(0, 10, 20)
    frames = noted(
        ("equal", three, three, None),
        ("one is gone", three, cars(0, 10), None),
        ("all are gone", three, cars(), None),
        ("two are gone", three, cars(0), None),
        ("one is gone too", three, cars(0, 10), None),
    )
    drawn = frames.draw(tmp_path / "pictures")[SCENARIO.name]
    assert [frame.sample for frame in drawn] == ["all are gone", "two are gone", "one is gone"]
    assert {frame.status for frame in drawn} == {"failed"}
    assert titles[0] == ("all are gone: b:cpu and, dashed, a:cpu", False)


def test_one_stands_for_all_that_passed(tmp_path: Path, titles: list[tuple[str, bool]]) -> None:
    frames = noted(
        ("equal", cars(0, 10), cars(0, 10), None), ("apart", cars(0, 10), cars(0, 10.00001), None)
    )
    (frame,) = frames.draw(tmp_path)[SCENARIO.name]
    assert (frame.sample, frame.status) == ("apart", "passed")


def test_ground_truth_is_drawn_if_its_classes_are_the_models(
    tmp_path: Path, titles: list[tuple[str, bool]]
) -> None:
    for name, is_drawn in (("CAR", True), ("vehicle", False)):
        noted(("s", cars(0), cars(0), truth(cars(0, name=name)))).draw(tmp_path)
        assert titles.pop()[1] == is_drawn
