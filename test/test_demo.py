"""``make demo`` did what it says, and says so only then."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, DemoRun

from awml_deploy_core.reporting import Report
from awml_deploy_ros.live import read_recording

SWEEPS = 100
TIMEOUT_S = 600.0
"""Of every wait for an event. It proves nothing: a busy machine takes ten times as long as a quiet one."""
STAGES = (
    *("decode", "tf_wait", "densify", "voxelize", "encode", "scatter"),
    *("backbone_head", "decode_boxes", "nms", "publish"),
)


def png_size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", header[16:24])
    return width, height


def test_the_demo_passes_and_says_what_happened(demo: DemoRun) -> None:
    assert demo.exit_code == 0, demo.output
    for words in ("pts_backbone_neck_head.onnx", "matched one to one", "end_to_end", "precision"):
        assert words in demo.output
    assert "trained on simulated scenes only" in demo.output
    for name in ("result.json", "report.html", "live/output_bag", "bundle"):
        assert str(demo.folder / name) in demo.output
        assert (demo.folder / name).exists()


def test_the_result_accounts_for_every_cloud(demo: DemoRun) -> None:
    replay = demo.result["replay"]
    assert replay["sent"] == SWEEPS
    assert replay["processed"] + sum(replay["dropped"].values()) == SWEEPS
    # On a machine that keeps up nearly all are processed; on a busy one the node must not idle.
    (median_ms,) = (record["p50"] for record in replay["latencies"] if record["stage"] == "end_to_end")
    assert replay["processed"] > min(SWEEPS, replay["seconds"] * 1000 / median_ms) // 2
    assert sum(replay["detections_by_class"].values()) > 0
    stages = [record["stage"] for record in replay["latencies"]]
    # A frame has "remember" only if clouds before it were superseded.
    assert [stage for stage in stages if stage != "remember"] == ["queue", *STAGES, "end_to_end"]
    assert all(record["p50"] <= record["p99"] <= record["max"] for record in replay["latencies"])
    assert {check["status"] for check in replay["checks"]} == {"passed"}


def test_the_model_finds_what_is_there(demo: DemoRun) -> None:
    accuracy = demo.result["accuracy"]
    assert accuracy["status"] == "passed"
    matched = accuracy["matched"]
    assert matched["num_frames"] == demo.result["replay"]["processed"]
    assert matched["max_distance"] == 2.0
    classes = matched["classes"]
    assert list(classes) == ["CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN"]
    for counts in (*classes.values(), matched["total"]):
        assert counts["true_positives"] + counts["false_negatives"] > matched["num_frames"] / 2
    assert classes["CAR"]["recall"] > 0.8
    assert classes["CAR"]["precision"] > 0.7
    assert classes["PEDESTRIAN"]["recall"] > 0.7
    assert matched["total"]["recall"] > 0.7
    assert matched["total"]["precision"] > 0.6


def test_the_result_can_be_read_back(demo: DemoRun) -> None:
    text = (demo.folder / "result.json").read_text()
    report = Report.model_validate_json(text)
    assert report.verification is not None
    assert report.verification.scenarios[0].status == "passed"
    assert report.verification.scenarios[0].boxes_matched > 0


def test_the_output_bag_holds_every_processed_frame(demo: DemoRun) -> None:
    recording = read_recording(demo.folder / "live" / "output_bag", "/centerpoint")
    replay = demo.result["replay"]
    assert len(recording.frames) == replay["processed"]
    assert len({frame.stamp_ns for frame in recording.frames}) == len(recording.frames)
    boxes = sum(len(frame.detections) for frame in recording.frames)
    assert boxes == sum(replay["detections_by_class"].values())


def test_the_pictures_are_pictures(demo: DemoRun) -> None:
    pictures = demo.result["replay"]["pictures"]
    assert len(pictures) == 4
    for picture in map(Path, pictures):
        width, height = png_size(picture)
        assert width > 1000
        assert height > 1000


def test_the_pictures_show_ground_truth(
    demo: DemoRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn again they are the same, and without the ground truth they are not."""
    monkeypatch.syspath_prepend(str(ROOT / "demo"))
    from scoring import Scoring

    path, bag = Path(demo.result["replay"]["pictures"][0]), demo.folder / "input_bag"
    stamp = int(path.stem.partition("_")[2])
    recording = read_recording(demo.folder / "live" / "output_bag", "/centerpoint")
    scored = Scoring.of(recording.frames, bag, demo.folder / "bundle")
    (again,) = scored.draw(bag, tmp_path / "again", [stamp])
    assert again.read_bytes() == path.read_bytes()
    frame = scored.limits.apply(scored.frames[stamp])
    assert len(frame.ground_truth) > 10
    unlabelled = replace(frame, ground_truth=frame.ground_truth.select(np.arange(0)))
    (bare,) = replace(scored, frames={stamp: unlabelled}).draw(bag, tmp_path / "bare", [stamp])
    assert bare.read_bytes() != path.read_bytes()


def test_a_node_that_dies_fails_the_demo_and_leaves_nothing_running(tmp_path: Path) -> None:
    """Kills the node as soon as it is active."""
    demo = subprocess.Popen(
        [sys.executable, "demo/demo.py", "--output", str(tmp_path), "--sweeps", "60"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log = tmp_path / "live" / "centerpoint_node.log"
    deadline = time.monotonic() + TIMEOUT_S
    while not (log.is_file() and "active on" in log.read_text()):
        assert time.monotonic() < deadline
        assert demo.poll() is None, demo.communicate()[0]
        time.sleep(0.05)
    (node,) = processes_with(str(tmp_path), "centerpoint_node")
    os.kill(node, signal.SIGKILL)
    output, _ = demo.communicate(timeout=TIMEOUT_S)
    assert demo.returncode == 2, output
    assert "ProcessError: centerpoint_node: ended with code -9" in output
    assert "demo passed" not in output
    assert processes_with(str(tmp_path)) == []
    assert not list((tmp_path / "live").glob(".*"))
    assert not (tmp_path / "result.json").exists()


def test_an_output_that_is_no_folder_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "demo/demo.py", "--output", str(tmp_path / "file")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "ArtifactError" in done.stdout
    assert "Traceback" not in done.stderr


def processes_with(*words: str) -> list[int]:
    """Processes whose command line contains every word."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(int(entry.name))
    return found
