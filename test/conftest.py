"""The system tests' surroundings: the demo's result, small bags, real clouds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from awml_deploy_ros.domains import reserve_domain_id

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_ASSETS = ROOT.parent / "shared" / "assets"

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())


@dataclass(frozen=True)
class DemoRun:
    """What ``make demo`` left."""

    exit_code: int
    output: str
    folder: Path

    @property
    def result(self) -> dict[str, Any]:
        """The JSON result."""
        content: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return content


@pytest.fixture(scope="session")
def demo() -> DemoRun:
    """The README's first command, as it stands there."""
    # What make tells the makes that it starts does not concern one that a user starts.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    environment["VENV"] = os.environ.get("VIRTUAL_ENV", ".venv")
    done = subprocess.run(
        ["make", "demo"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return DemoRun(done.returncode, done.stdout, ROOT / "output" / "demo")


@pytest.fixture(scope="session")
def bundle(demo: DemoRun) -> Path:
    """The bundle that the demo exported."""
    assert demo.exit_code == 0, demo.output
    return demo.folder / "bundle"


@pytest.fixture(scope="session")
def short_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a simulated drive with 64 beams, most of which see the ground."""
    bag = tmp_path_factory.mktemp("bags") / "short"
    command = [sys.executable, "-m", "awml_deploy_lab.simulation.record", str(bag)]
    subprocess.run([*command, "--seconds", "2", "--lidar", "hdl64"], check=True)
    return bag


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real clouds, bags and models, which the repository does not contain."""
    folder = Path(os.environ.get("AWML_DEPLOY_TEST_ASSETS", DEFAULT_ASSETS))
    if not folder.is_dir():
        pytest.skip(f"no test assets at {folder}; set AWML_DEPLOY_TEST_ASSETS")
    return folder
