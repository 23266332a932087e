"""The demo model on simulated drives: how good it is, and that a killed run loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from awml_deploy_core.cli.main import main
from awml_deploy_lab.simulation.record import main as record

ROOT = Path(__file__).resolve().parents[4]
CONFIG = ROOT / "config" / "centerpoint" / "deploy.yaml"
RANGES = "{CAR: 50.0, TRUCK: 50.0, BUS: 50.0, BICYCLE: 40.0, PEDESTRIAN: 40.0}"


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an exported bundle and a data set of ten sweeps."""
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("evaluate")
    assert main(["export", str(CONFIG), "--set", f"work_dir={folder / 'work'}"]) == 0
    drives = ["--infos", "val", "--drives", "2", "--seconds", "0.5", "--lidar", "os64"]
    assert record([str(folder / "data"), *drives]) == 0
    return folder


def command(folder: Path, *extra: str) -> list[str]:
    """Evaluation in ONNX Runtime, latency over few frames."""
    settings = ["evaluation.latency={min_frames: 12, max_frames: 12}", "evaluation.keep_frames=1"]
    settings += [f"evaluation.detection3d.max_distance={RANGES}", f"work_dir={folder / 'work'}", *extra]
    source = str(folder / "data" / "infos_val.pkl")
    arguments = ["evaluate", str(CONFIG), "--samples", source, "--past-sweeps", "1"]
    arguments += ["--backend", "onnxruntime:cpu", "--json", str(folder / "result.json")]
    return [*arguments, *(part for setting in settings for part in ("--set", setting))]


def result(folder: Path) -> dict[str, Any]:
    """The only backend of the last evaluation."""
    (found,) = json.loads((folder / "result.json").read_text())["evaluation"]["backends"]
    return dict(found)


@pytest.mark.slow
def test_the_demo_model_is_above_its_floor(surroundings: Path) -> None:
    assert main(command(surroundings)) == 0
    found = result(surroundings)
    assert found["accuracy"]["figures"]["mean_ap"] > 0.6
    assert found["accuracy"]["num_frames"] == 10
    assert found["accuracy"]["details"]["nuscenes"]["left_out"]["ground_truth_of_unknown_class"] == {}
    assert found["accuracy"]["figures"]["autoware/iou_bev/mean_ap"] > 0.3
    assert {stage["stage"] for stage in found["latency"]["stages"]} >= {"voxelize", "backbone_head", "nms"}
    assert Path(found["worst"][0]["picture"]).is_file()
    floor = "evaluation.floors=[{figure: mean_ap, min: 0.999}]"
    assert main(command(surroundings, floor)) == 1
    assert result(surroundings)["resumed"] == 10


@pytest.mark.slow
def test_a_killed_run_loses_no_finished_frame(surroundings: Path, tmp_path: Path) -> None:
    assert main(command(surroundings)) == 0
    whole = result(surroundings)
    # Other options, so that nothing is finished yet; the bundle is that of the first work folder.
    bundle = f"bundle_path={surroundings / 'work' / 'bundle'}"
    arguments = command(surroundings, bundle, f"work_dir={tmp_path}")
    store = tmp_path / "evaluation"
    with subprocess.Popen(
        [sys.executable, "-m", "awml_deploy_core.cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    ) as process:
        while process.poll() is None and finished(store) < 3:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = finished(store)
    assert kept >= 3
    assert process.returncode == -signal.SIGKILL
    assert main(arguments) == 0
    resumed = result(surroundings)
    assert resumed["resumed"] == kept
    assert resumed["accuracy"] == whole["accuracy"]


def finished(store: Path) -> int:
    """Whole lines of the only file, less its head."""
    files = list(store.glob("*.jsonl"))
    return max(files[0].read_bytes().count(b"\n") - 1, 0) if files else 0
