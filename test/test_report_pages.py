"""The pages of real runs in a browser without a network: the demo's report, the summary of many bags."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, DemoRun

# The browser is a helper of core's tests.
sys.path.insert(0, str(ROOT / "src" / "awml_deploy_core" / "test" / "reporting"))

from chromium import PROGRAMS, Chromium, Opened

WIDTHS = (1280, 400)
MODEL = ROOT / "models" / "centerpoint_demo" / "bundle"
PICTURES_OF_THE_DEMO = 4


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    found = Chromium.find(tmp_path_factory.mktemp("chromium"))
    if found is None:
        pytest.skip(f"no browser to open reports in: none of {', '.join(PROGRAMS)} is installed")
    return found


def check(opened: Opened, verdict: str, pictures: int) -> None:
    assert opened.console == ()
    for width, seen in opened.at.items():
        assert seen.verdict.startswith(verdict)
        assert seen.header[1] < 60
        assert seen.scroll_width <= seen.width, width
        assert (seen.beyond, seen.cut, seen.squashed, seen.fetched) == ([], [], [], [])
        assert len(seen.pictures) == pictures
        assert all(natural > 0 for natural, _ in seen.pictures)


def test_the_report_of_the_demo(chromium: Chromium, demo: DemoRun) -> None:
    assert demo.exit_code == 0, demo.output
    check(chromium.open(demo.folder / "report.html", *WIDTHS), "passed", PICTURES_OF_THE_DEMO)


def test_the_summary_of_many_bags(chromium: Chromium, tmp_path: Path) -> None:
    first = tmp_path / "bags" / "a_drive_with_a_long_name_through_a_street_that_is_not_there"
    record = [sys.executable, "-m", "awml_deploy_lab.simulation.record", str(first), "--seconds", "0.2"]
    subprocess.run([*record, "--lidar", "hdl64"], check=True)
    broken = tmp_path / "bags" / "broken"
    shutil.copytree(first, broken)
    for file in broken.glob("*.db3"):
        file.write_bytes(file.read_bytes()[:1000])
    replay = [
        sys.executable,
        "-m",
        "awml_deploy_ros",
        "replay",
        str(tmp_path / "bags"),
        "--model",
        str(MODEL),
    ]
    report = tmp_path / "report"
    done = subprocess.run(
        [*replay, "--report", str(report), "--recheck", "1", "--pictures", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    check(chromium.open(report / "summary.html", *WIDTHS), "error", 0)
    check(chromium.open(report / first.name / "report.html", *WIDTHS), "passed", 1)
    check(chromium.open(report / broken.name / "report.html", *WIDTHS), "error", 0)
