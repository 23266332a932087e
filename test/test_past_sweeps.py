"""Past sweeps are worth their while: with them the model sees how fast others drive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from awml_deploy_core.detections import Detections
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.live import LiveSettings, Recording, play_live, read_recording, replay_record
from awml_extractors.datasets.infos import ground_truth_by_stamp

PARAMETERS = ROOT / "config" / "centerpoint" / "node.param.yaml"
SECONDS = 2
MOVING = 2.0
"""Least speed of a car that counts [m/s]."""
MIN_POINTS = 20
MATCH_M = 1.5


@pytest.fixture(scope="module")
def driven_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated drive with transforms and ground truth."""
    bag = tmp_path_factory.mktemp("drives") / "bag"
    options = ["--seconds", str(SECONDS), "--lidar", "os64", "--seed", "3"]
    command = [sys.executable, "-m", "awml_deploy_lab.simulation.record", str(bag), *options]
    subprocess.run(command, check=True)
    return bag


def run_live(bundle: Path, bag: Path, folder: Path, past_frames: int) -> Recording:
    """The node on the bag, slow enough for a busy machine to take every cloud."""
    parameters = folder / "node.param.yaml"
    text = PARAMETERS.read_text()
    assert "num_past_frames: 1" in text
    folder.mkdir()
    # A late transform is another test's business.
    text = text.replace("num_past_frames: 1", f"num_past_frames: {past_frames}")
    parameters.write_text(text.replace("tf_timeout_ms: 50.0", "tf_timeout_ms: 5000.0"))
    settings = LiveSettings(bundle, parameters, rate_hz=2.0)
    source = CloudTopic.find(bag)
    outcome = play_live(source, folder, settings)
    recording = read_recording(outcome.output_bag, "/centerpoint")
    record = replay_record(source, settings, outcome, recording)
    assert record.status == "passed", record.checks
    assert record.with_past_sweeps == (record.processed - 1 if past_frames else 0)
    assert record.without_past_sweeps == (
        {"first_frame": 1} if past_frames else {"disabled": record.processed}
    )
    return recording


def velocity_errors(recording: Recording, truths: dict[int, GroundTruth]) -> np.ndarray:
    """Length of the difference of velocities [m/s] of every moving car that was found."""
    errors = [
        error
        # The first frame has no past either way.
        for frame in recording.frames[1:]
        for error in _errors(frame.detections, truths[frame.stamp_ns])
    ]
    return np.array(errors)


def _errors(found: Detections, truth: GroundTruth) -> list[float]:
    boxes = truth.boxes
    cars = boxes.labels == boxes.class_names.index("CAR")
    moving = cars & (np.hypot(*boxes.velocities.T) > MOVING) & (truth.num_points >= MIN_POINTS)
    errors = []
    for center, velocity in zip(boxes.centers[moving], boxes.velocities[moving], strict=True):
        distances = np.hypot(*(found.centers[:, :2] - center[:2]).T)
        if len(distances) and distances.min() < MATCH_M:
            errors.append(float(np.hypot(*(found.velocities[distances.argmin()] - velocity))))
    return errors


def test_velocities_are_right_with_past_sweeps_and_wrong_without(
    bundle: Path, driven_bag: Path, tmp_path: Path
) -> None:
    truths = ground_truth_by_stamp(driven_bag)
    alone, densified = (
        velocity_errors(run_live(bundle, driven_bag, tmp_path / f"past{past}", past), truths)
        for past in (0, 1)
    )
    assert min(len(alone), len(densified)) > 20
    assert densified.mean() < 0.5 * alone.mean()
    assert densified.mean() < 2.5
