"""The real node on bags over DDS: nothing lost, nothing changed, nothing that stops it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import BagError, ProcessError
from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.live import LiveSettings, Recording, play_live, read_recording, replay_record
from awml_extractors.datasets.bag_writer import StampedCloud, write_cloud_bag
from awml_extractors.datasets.samples import open_samples

PARAMETERS = ROOT / "config" / "centerpoint" / "node.param.yaml"


def settings_of(bundle: Path, **changes: object) -> LiveSettings:
    return LiveSettings(bundle, PARAMETERS, **changes)  # type: ignore[arg-type]


def same_bits(one: Detections, two: Detections) -> bool:
    names = ("centers", "sizes", "yaws", "velocities", "scores", "labels")
    return all(getattr(one, name).tobytes() == getattr(two, name).tobytes() for name in names)


def frames_by_input(recording: Recording) -> dict[tuple[int, ...], Detections]:
    """Detections by the stamps [ns] of their sweeps."""
    return {(frame.stamp_ns, *frame.past_stamps_ns): frame.detections for frame in recording.frames}


def test_the_same_bag_twice_gives_the_same_bits(bundle: Path, short_bag: Path, tmp_path: Path) -> None:
    source = CloudTopic.find(short_bag)
    recordings: list[Recording] = []
    for run in ("one", "two"):
        # Slow enough for a busy machine: what is superseded cannot be compared.
        settings = settings_of(bundle, rate_hz=2.0)
        outcome = play_live(source, tmp_path / run, settings)
        recordings.append(read_recording(outcome.output_bag, "/centerpoint"))
        record = replay_record(source, settings, outcome, recordings[-1])
        assert record.status == "passed", record.checks
        assert record.dropped.get("lost_in_transport", 0) == 0
        assert record.received == record.sent == source.count
    one, two = map(frames_by_input, recordings)
    common = one.keys() & two.keys()
    assert len(common) > source.count // 2
    assert all(same_bits(one[sweeps], two[sweeps]) for sweeps in common)


def test_bad_clouds_are_counted_and_the_node_goes_on(bundle: Path, short_bag: Path, tmp_path: Path) -> None:
    columns = open_samples(str(short_bag))[0].input.sweeps[0].columns
    good = np.zeros(len(columns), POINT_XYZIRC)
    for name in ("x", "y", "z", "intensity"):
        good[name] = getattr(columns, name)
    nowhere = good.copy()
    nowhere["x"] = np.nan
    unknown = np.zeros(100, [("range", "<f4"), ("ring", "<u2")])
    kinds = [good, good[:0], nowhere, unknown, good]
    clouds = [
        StampedCloud(points, 1_000_000_000 * (1 + index), "lidar") for index, points in enumerate(kinds)
    ]
    write_cloud_bag(tmp_path / "bad", clouds, topic="/points")
    source = CloudTopic.find(tmp_path / "bad")
    # Slow enough for a busy machine: a cloud that is superseded is none that is looked at.
    settings = settings_of(bundle, rate_hz=1.0, loops=2)
    outcome = play_live(source, tmp_path / "live", settings)
    recording = read_recording(outcome.output_bag, "/centerpoint")
    record = replay_record(source, settings, outcome, recording)
    assert record.status == "passed", record.checks
    # NaN although is_dense, and a cloud without coordinates, are malformed; an empty one is not.
    assert record.dropped == {"malformed": 4}
    assert [len(frame.detections) > 0 for frame in recording.frames] == [True, False, True] * 2


def test_a_node_that_cannot_start_is_one_error_with_its_log(short_bag: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "no_bundle", start_timeout_s=1000.0)
    with pytest.raises(ProcessError, match="could not be configured") as caught:
        play_live(CloudTopic.find(short_bag), tmp_path / "live", settings)
    assert any("ArtifactError" in line for line in caught.value.problems)
    assert not list((tmp_path / "live").glob(".*"))


def test_a_node_that_is_not_ready_in_time_is_one_error(short_bag: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "no_bundle", start_timeout_s=0.0)
    # As a recorder that was killed leaves it.
    (tmp_path / "live" / ".output_bag.0123abcd.tmp" / "output_bag").mkdir(parents=True)
    with pytest.raises(ProcessError, match="is not active after 0 s"):
        play_live(CloudTopic.find(short_bag), tmp_path / "live", settings)
    assert not list((tmp_path / "live").glob(".*"))


def test_an_output_bag_is_never_overwritten(bundle: Path, short_bag: Path, tmp_path: Path) -> None:
    (tmp_path / "output_bag").mkdir()
    with pytest.raises(BagError, match="exists already"):
        play_live(CloudTopic.find(short_bag), tmp_path, settings_of(bundle))
    assert list(tmp_path.iterdir()) == [tmp_path / "output_bag"]


def test_the_points_are_large_enough_to_matter(short_bag: Path) -> None:
    """Transport is only proven with clouds beyond the middleware's default segment."""
    size = len(next(CloudTopic.find(short_bag).messages()))
    assert size > 1_500_000
    assert POINT_XYZIRC.itemsize == 16
