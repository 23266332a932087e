"""Evaluation on the toy family: from the command line to every form of the result."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from awml_deploy_core.cli.main import main

pytestmark = [
    pytest.mark.usefixtures("toy"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

FAST = ["--set", "evaluation.latency={min_frames: 5, max_frames: 5}"]


def evaluation(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["evaluation"]
    return found


def test_evaluate_and_run(deploy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(deploy)]) == 0
    forms = ["--html", str(tmp_path / "r" / "a.html"), "--junit", str(tmp_path / "r" / "a.xml")]
    command = ["evaluate", str(deploy), "--samples", str(tmp_path / "clouds"), *FAST, *forms]
    both = ["--backend", "pytorch:cpu", "--backend", "onnxruntime"]
    assert main([*command, *both]) == 0
    shown = capsys.readouterr().out
    assert "accuracy was not measured: no sample has ground truth" in shown
    assert "No floors are configured" in shown
    reports = tmp_path / "out" / "reports"
    found = evaluation(reports / "evaluate.json")
    first, second = found["backends"]
    assert (found["status"], found["num_samples"]) == ("passed", 3)
    assert second["agreement"]["reference"] == "pytorch:cpu"
    assert second["figures"]["agreement/matched_share"] == 1
    assert first["latency"]["frames"] == 5
    assert "accuracy" not in first
    assert (tmp_path / "r" / "a.html").read_text().startswith("<!DOCTYPE html>")
    root = ET.parse(tmp_path / "r" / "a.xml").getroot()
    assert (root.get("tests"), root.get("skipped"), root.get("failures")) == ("4", "2", "0")
    assert list((reports / "evaluation_pictures").glob("onnxruntime_cpu_cloud*.png"))

    # What is finished is not run again, unless that is asked for.
    assert main([*command, *both]) == 0
    assert [part["resumed"] for part in evaluation(reports / "evaluate.json")["backends"]] == [3, 3]
    assert main([*command, *both, "--restart"]) == 0
    assert [part["resumed"] for part in evaluation(reports / "evaluate.json")["backends"]] == [0, 0]
    assert main([*command, *both, "--set", "evaluation.options={threshold: 0.6}"]) == 0
    assert [part["resumed"] for part in evaluation(reports / "evaluate.json")["backends"]] == [0, 0]

    floor = ["--set", "evaluation.floors=[{figure: mean_ap, min: 0.5}]"]
    assert main([*command, *floor]) == 1
    assert "not measured: no sample has ground truth" in capsys.readouterr().out
    assert ET.parse(tmp_path / "r" / "a.xml").getroot().get("failures") == "1"

    with deploy.open("a") as stream:
        stream.write("evaluation: {datasets: [clouds], latency: {min_frames: 5, max_frames: 5}}\n")
    slow = ["--set", "evaluation.floors=[{figure: latency/mean, max: 0.0}]"]
    assert main(["run", str(deploy), *slow, *forms]) == 1
    ran = json.loads((reports / "run.json").read_text())
    assert (ran["verification"]["status"], ran["evaluation"]["status"]) == ("passed", "failed")
    assert ran["provenance"]["family"] == "toy"
    page = (tmp_path / "r" / "a.html").read_text()
    assert page.index("verdict failed") < page.index(">Verification<") < page.index(">Evaluation<")

    bundle = ["evaluate", str(tmp_path / "out" / "bundle"), "--samples", str(tmp_path / "clouds"), *FAST]
    assert main(bundle) == 0
    kept = [*bundle, "--work-dir", str(tmp_path / "work"), "--json", str(tmp_path / "b.json")]
    assert main(kept) == 0
    assert len(list((tmp_path / "work" / "evaluation").glob("*.jsonl"))) == 1
    assert main(kept) == 0
    assert evaluation(tmp_path / "b.json")["backends"][0]["resumed"] == 3


def test_problems_are_told_before_the_work(
    deploy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(deploy)]) == 2
    err = capsys.readouterr().err
    assert "evaluation.datasets: is empty" in err
    assert "there is no bundle" in err
    wrong = [
        "evaluation.datasets=[{source: nowhere.pkl}]",
        "evaluation.backends=[onnxruntime, onnxruntime, tensorrt]",
        "evaluation.floors=[{figure: mean_ap, min: 1.0, backends: [cuda]}]",
        "evaluation.num_samples=0",
        "evaluation.options={treshold: 1}",
    ]
    junit = ["--junit", str(tmp_path / "e.xml")]
    assert main(["evaluate", str(deploy), *junit, *(part for key in wrong for part in ("--set", key))]) == 2
    err = capsys.readouterr().err
    for part in (
        "nowhere.pkl: no such file",
        "onnxruntime:cpu is there 2 times",
        "tensorrt",
        "cuda is no backend",
        "num_samples: is 0",
        "options: unknown option",
    ):
        assert part in err, part
    assert ET.parse(tmp_path / "e.xml").getroot().get("errors") == "1"
    assert main(["evaluate", str(deploy), "--past-sweeps", "1"]) == 2
    floors = ["--set", "evaluation.floors=[{figure: mean_ap}]"]
    assert main(["evaluate", str(deploy), *floors]) == 2
    assert "min or max is needed" in capsys.readouterr().err
