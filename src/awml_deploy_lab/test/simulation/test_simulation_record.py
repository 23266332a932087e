from __future__ import annotations

from pathlib import Path

import pytest

from awml_deploy_lab.simulation.lidar import LIDARS
from awml_deploy_lab.simulation.record import main
from awml_extractors.datasets.bag import CloudBag
from awml_extractors.datasets.infos import ground_truth_by_stamp, open_infos


def test_a_bag_with_ground_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = tmp_path / "bag"
    arguments = [str(bag), "--seconds", "0.3", "--lidar", "vlp16", "--seed", "5", "--storage", "mcap"]
    assert main(arguments) == 0
    assert "3 on /sensing/lidar/concatenated/pointcloud" in capsys.readouterr().out
    stamps = [cloud.stamp_ns for cloud in CloudBag.open(bag)]
    truth = ground_truth_by_stamp(bag)
    assert list(truth) == stamps
    assert all(len(boxes) for boxes in truth.values())
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_data_set_of_several_drives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(tmp_path / "data"), "--infos", "val", "--drives", "2", "--seconds", "0.2"]
    assert main([*arguments, "--lidar", "vlp16"]) == 0
    assert "4 sweeps of 2 drives" in capsys.readouterr().out
    samples = open_infos(tmp_path / "data" / "infos_val.pkl", num_past_sweeps=1)
    assert [len(sample.input.sweeps) for sample in samples] == [1, 2, 1, 2]
    assert all(sample.ground_truth is not None for sample in samples)


@pytest.mark.parametrize(
    "wrong", [["--seconds", "0"], ["--drives", "2"], ["--seed", "-1"], ["--lidar", "x"]]
)
def test_impossible_options_are_refused(tmp_path: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "bag"), *wrong])


@pytest.mark.parametrize("name", LIDARS)
def test_layouts_are_ordered(name: str) -> None:
    elevations = LIDARS[name].elevations
    assert list(elevations) == sorted(set(elevations))
