"""docs/new_model.md makes a model family outside of this repository, and every command of it runs."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from conftest import ROOT
from readme import command_blocks, file_blocks

TUTORIAL = ROOT / "docs" / "new_model.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reader who did what the page says."""
    folder = tmp_path_factory.mktemp("daylight")
    for name, text in file_blocks(TUTORIAL).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    script = "\n".join(command for block in command_blocks(TUTORIAL) for command in block.commands)
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PIP_NO_INDEX": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder


def test_reports_show_the_model_of_a_stranger(made: Path) -> None:
    reports = {
        name: json.loads((made / "output" / "reports" / f"{name}.json").read_text())
        for name in ("verify", "evaluate")
    }
    assert reports["verify"]["verification"]["status"] == "passed"
    evaluation = reports["evaluate"]["evaluation"]
    assert (evaluation["status"], evaluation["task"]) == ("passed", "classification")
    for backend in evaluation["backends"]:
        assert backend["figures"]["accuracy"] >= 0.9
        assert backend["figures"]["auc/night"] >= 0.9
    assert "confusion" in (made / "evaluation.html").read_text()
    names = {case.get("name") for case in ET.parse(made / "evaluation.xml").iter("testcase")}
    assert any("accuracy >= 0.9" in str(name) for name in names)
    frames = json.loads((made / "inference.json").read_text())["inference"]["frames"]
    assert [frame["detections"][0]["class"] for frame in frames] == ["day"] * 4


def test_nothing_of_it_is_in_this_repository() -> None:
    sources = [path for path in (ROOT / "src").rglob("*.py") if "daylight" in path.read_text()]
    assert not sources
