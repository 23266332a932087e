from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from awml_deploy_core.cli.main import main
from awml_deploy_core.errors import DatasetError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_lab.evaluation import real_sweeps
from awml_deploy_lab.evaluation.real_scenes import points_in_boxes, real_scenes

ROOT = Path(__file__).resolve().parents[4]
KITTI_SWEEP = "000008"


@pytest.fixture
def two_sweeps(assets: Path, tmp_path: Path) -> Path:
    """A folder of one sweep of each data set."""
    folder = tmp_path / "assets"
    for part, ending in (("velodyne", "bin"), ("label_2", "txt"), ("calib", "txt")):
        (folder / "kitti" / part).mkdir(parents=True)
        name = f"{KITTI_SWEEP}.{ending}"
        (folder / "kitti" / part / name).symlink_to(assets.resolve() / "kitti" / part / name)
    (folder / "nuscenes").symlink_to(assets.resolve() / "nuscenes")
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped demo model."""
    pytest.importorskip("onnxruntime")
    config, checkpoint = (
        ROOT / "config/centerpoint/deploy.yaml",
        ROOT / "models/centerpoint_demo/checkpoint.pth",
    )
    if not checkpoint.is_file():
        pytest.skip(f"no {checkpoint}")
    folder = tmp_path_factory.mktemp("work")
    changes = [f"checkpoint_path={checkpoint}", f"work_dir={folder}"]
    assert main(["export", str(config), *(part for text in changes for part in ("--set", text))]) == 0
    return folder / "bundle"


def test_real_labels_lie_on_points_in_base_link(two_sweeps: Path) -> None:
    for scene in real_scenes(two_sweeps):
        columns, truth = scene.columns, scene.truth
        ranges = np.hypot(columns.x, columns.y)
        near = (ranges > 4) & (ranges < 10)
        # The ground, which most points near the vehicle are on.
        assert abs(np.median(np.asarray(columns.z)[near & (np.abs(columns.z) < 0.5)])) < 0.15
        cars = scene.counted & (truth.boxes.labels == truth.boxes.class_names.index("CAR"))
        cars &= np.linalg.norm(truth.boxes.centers[:, :2], axis=1) < 40
        assert cars.sum() >= 3
        assert (points_in_boxes(columns, truth.boxes.select(cars)) > 0).all()
        if scene.dataset == "nuscenes":
            # Which way is forward: the vehicle's own street runs along x, and so do the cars on it.
            assert (np.abs(np.cos(truth.boxes.yaws[cars])) > 0.7).all()


@pytest.mark.slow
def test_command_on_real_sweeps(
    bundle: Path, two_sweeps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    result, pictures = tmp_path / "real.json", tmp_path / "pictures"
    arguments = [
        str(bundle),
        "--assets",
        str(two_sweeps),
        "--json",
        str(result),
        "--pictures",
        str(pictures),
    ]
    assert real_sweeps.main(arguments) == ExitCode.PASSED
    printed = capsys.readouterr().out
    assert "kitti CAR" in printed
    assert "nuscenes CAR" in printed
    found = json.loads(result.read_text())
    assert found["default_score_threshold"] == 0.35
    assert set(found["models"]) == {path.name for path in bundle.glob("*.onnx")}
    assert {path.stem for path in pictures.glob("*.png")} == {sweep["name"] for sweep in found["sweeps"]}
    (cars,) = (
        entry
        for entry in found["figures"]
        if (entry["dataset"], entry["class_name"]) == ("kitti", "CAR")
        and (entry["min_score"], entry["max_distance"]) == (0.35, 2.0)
    )
    assert cars["labelled"] == 4
    # Not a goal for the model, but none at all would mean a wrong frame.
    assert cars["found"] >= 1
    labels = [label for sweep in found["sweeps"] for label in sweep["labels"]]
    assert all(label["num_points"] >= 0 for label in labels)


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no labelled sweeps"):
        next(real_scenes(tmp_path))


def test_what_cannot_be_opened_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert real_sweeps.main([str(tmp_path / "none"), "--assets", str(tmp_path)]) == ExitCode.BAD_INPUT
    assert "none" in capsys.readouterr().err
