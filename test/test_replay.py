"""The same bag judged offline, live, by local workers and on Ray: one verdict, and the same bits."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

MODEL = ROOT / "models" / "centerpoint_demo"
SEED_OF_THE_DEMO = 38
TIMEOUT_S = 600.0
"""Of every wait for an event. It proves nothing: a busy machine takes ten times as long as a quiet one."""
SAME_BYTES = ("frames.jsonl", "output_bag/output_bag.mcap", "output_bag/metadata.yaml")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of the demo's drive, with transforms and ground truth."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    options = ["--seconds", "0.5", "--seed", str(SEED_OF_THE_DEMO), "--lidar", "os64"]
    subprocess.run(
        [sys.executable, "-m", "awml_deploy_lab.simulation.record", str(path), *options], check=True
    )
    return path


def command(*arguments: object) -> list[str]:
    model = ("--model", str(MODEL / "bundle"), "--params", str(ROOT / "config/centerpoint/node.param.yaml"))
    program = (sys.executable, "-m", "awml_deploy_ros", "replay")
    return [*program, *map(str, arguments), *model]


def replay(*arguments: object, code: int = 0) -> str:
    done = subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def result(report: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((report / "result.json").read_text())
    return content


def verdicts(report: Path) -> dict[str, str]:
    """Status by check."""
    return {check["name"]: check["status"] for check in result(report)["replay"]["checks"]}


@pytest.fixture(scope="module")
def offline(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the bag offline, with the trained weights in PyTorch as the reference."""
    report = tmp_path_factory.mktemp("reports") / "offline"
    reference = ("--reference", "pytorch:cpu", "--checkpoint", MODEL / "checkpoint.pth")
    replay(bag, "--report", report, *reference, "--floor", "recall/CAR=0.5")
    return report


def test_every_check_of_the_demo_passes_offline(offline: Path) -> None:
    record = result(offline)["replay"]
    assert {name for name, status in verdicts(offline).items() if status != "passed"} == {
        *("latency budget", "regression"),
    }
    assert record["processed"] == record["sent"] == 5
    assert record["with_past_sweeps"] == 4
    assert record["agreement"]["matched"] == sum(record["detections_by_class"].values()) > 100
    *lines, last = map(json.loads, (offline / "result.jsonl").read_text().splitlines())
    assert last["Result"]["Success"] is True
    assert sum("criteria0" in line.get("Frame", {}) for line in lines) == 5
    for name in ("report.html", "junit.xml"):
        assert (offline / name).stat().st_size > 1000


def test_offline_twice_gives_the_same_bytes(bag: Path, offline: Path, tmp_path: Path) -> None:
    replay(bag, "--report", tmp_path / "again", "--recheck", 0, "--baseline", offline)
    for name in SAME_BYTES:
        assert (tmp_path / "again" / name).read_bytes() == (offline / name).read_bytes(), name
    assert verdicts(tmp_path / "again")["regression"] == "passed"


def test_live_gives_the_verdict_and_the_boxes_of_offline(bag: Path, offline: Path, tmp_path: Path) -> None:
    # Slow enough for a busy machine: what is superseded is not compared.
    options = ("--mode", "live", "--rate", 1, "--recheck", -1, "--floor", "recall/CAR=0.5")
    reference = ("--reference", "pytorch:cpu", "--checkpoint", MODEL / "checkpoint.pth")
    replay(bag, "--report", tmp_path / "live", *options, *reference, "--baseline", offline)
    live, before = verdicts(tmp_path / "live"), verdicts(offline)
    assert live.pop("node ended cleanly") == "passed"
    assert live.pop("regression") == "passed"
    before.pop("regression")
    assert live == before
    record = result(tmp_path / "live")["replay"]
    assert record["regression"]["identical"] == record["regression"]["compared"] > 0
    assert {entry["stage"] for entry in record["transport"]} >= {"transport", "cycle"}


def test_a_regression_is_told_box_by_box(bag: Path, offline: Path, tmp_path: Path) -> None:
    text = (ROOT / "config/centerpoint/node.param.yaml").read_text()
    scores = "detection_score_thresholds: {min_confidence_scores: {CAR: [0.6, 0.6, 0.6, 0.6]}}"
    parameters = tmp_path / "node.param.yaml"
    parameters.write_text(text.replace("    diagnostics:\n", f"    {scores}\n\n    diagnostics:\n"))
    arguments = (bag, "--report", tmp_path / "stricter", "--recheck", 0, "--baseline", offline)
    done = subprocess.run(
        [*command(*arguments), "--params", str(parameters)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    record = result(tmp_path / "stricter")["replay"]["regression"]
    changes = {(change["kind"], change["box"]["class"]) for change in record["changes"]}
    assert {name for kind, name in changes if kind == "gone"} == {"CAR"}
    # A car that is gone no longer suppresses what overlaps it.
    assert "CAR" not in {name for kind, name in changes if kind != "gone"}
    assert "CAR gone" in done.stdout


def rewritten(bag: Path, path: Path, **options: Any) -> Path:
    """The same messages in another storage, compressed or split."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer

    writer = Writer(path, version=8, storage_plugin=StoragePlugin[options.get("storage", "MCAP")])
    if mode := options.get("compression"):
        writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with Reader(bag) as reader, writer:
        chosen = {
            entry.id: writer.add_connection(
                entry.topic, entry.msgtype, msgdef=entry.msgdef.data, rihs01=entry.digest
            )
            for entry in reader.connections
        }
        for entry, time_ns, data in reader.messages():
            writer.write(chosen[entry.id], time_ns, data)
    shutil.copy(f"{bag}.infos.pkl", f"{path}.infos.pkl")
    return path


def killed_once(attempts: Path) -> None:
    """Kill the process that began a job, as soon as it has."""
    deadline = time.monotonic() + TIMEOUT_S
    while not attempts.is_file() or not attempts.read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(json.loads(attempts.read_text().splitlines()[0])["pid"], signal.SIGKILL)


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_of_many_bags_nothing_is_lost(bag: Path, offline: Path, tmp_path: Path, executor: str) -> None:
    """Bags of every storage, one of them corrupt, and a worker that is killed on the way."""
    if executor == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    bags, report = tmp_path / "bags", tmp_path / "report"
    bags.mkdir()
    if executor == "local":
        rewritten(bag, bags / "compressed", compression="STORAGE")
        rewritten(bag, bags / "by_file", storage="SQLITE3", compression="FILE")
    else:
        rewritten(bag, bags / "mcap")
    corrupt = rewritten(bag, bags / "corrupt")
    (file,) = corrupt.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    names = sorted(path.name for path in bags.iterdir() if path.is_dir())
    options = ("--report", report, "--recheck", 0, "--floor", "recall/CAR=0.5")
    arguments = (bags, *options, "--executor", executor, "--workers", 2)
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    killed = next(name for name in names if name != "corrupt")
    killed_once(report / killed / "attempts.jsonl")
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 2, output
    summary = json.loads((report / "summary.json").read_text())
    found = {entry["folder"]: entry for entry in summary["bags"]}
    assert sorted(found) == names
    assert found["corrupt"]["status"] == "error"
    assert "BagError" in found["corrupt"]["finding"]
    assert found[killed]["attempts"] == 2
    digest = result(offline)["replay"]["digest"]
    for name in set(names) - {"corrupt"}:
        assert found[name]["status"] == "passed", output
        assert found[name]["digest"] == digest
    if executor == "local":
        # Nothing is done twice but what ended in an error.
        assert replay(*arguments, code=2).count("kept") == len(names) - 1


def test_bad_input_is_one_error_and_a_result(bag: Path, tmp_path: Path) -> None:
    replay(tmp_path / "nowhere", "--report", tmp_path / "a", code=2)
    assert result(tmp_path / "a")["error"]["type"] == "BagError"
    done = subprocess.run(
        [*command(bag, "--report", tmp_path / "b"), "--model", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert result(tmp_path / "b")["error"]["type"] == "ArtifactError"
