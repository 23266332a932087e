"""Core and extractors are installed by pip alone, without ROS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGES = ("awml_deploy_core", "awml_extractors")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the two packages in it."""
    folder = tmp_path_factory.mktemp("site")
    # Built from a copy, because setuptools builds beside the sources.
    sources = tmp_path_factory.mktemp("sources")
    subprocess.run(["cp", "-r", *(str(ROOT / "src" / name) for name in PACKAGES), sources], check=True)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *options, *(str(sources / n) for n in PACKAGES)]
    subprocess.run(command, check=True)
    return folder


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs with the installed packages and the third-party ones, without the colcon workspace."""
    environment = {key: value for key, value in os.environ.items() if "PREFIX_PATH" not in key}
    environment["PYTHONPATH"] = str(site)
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_the_packages_come_from_the_installation(site: Path) -> None:
    done = run(site, "-c", "import awml_deploy_core, awml_extractors as e; print(e.__file__)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
    assert run(site, "-c", "import awml_deploy_ros").returncode != 0


def test_the_command_line_finds_the_model_family(site: Path) -> None:
    done = run(site, "-m", "awml_deploy_core.cli", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "centerpoint" in done.stdout
    assert "can infer" in done.stdout


def test_a_bundle_runs(site: Path, bundle: Path, short_bag: Path) -> None:
    arguments = ("-m", "awml_deploy_core.cli", "infer", str(bundle), str(short_bag), "--limit", "2")
    done = run(site, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 frames on onnxruntime:cpu" in done.stdout


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git checkout")
@pytest.mark.parametrize("package", PACKAGES)
def test_what_pip_leaves_beside_the_sources_is_not_taken_for_them(package: str) -> None:
    for left in (f"src/{package}/build/lib/x.py", f"src/{package}/{package}.egg-info/PKG-INFO"):
        done = subprocess.run(["git", "check-ignore", "-q", left], cwd=ROOT, check=False)
        assert done.returncode == 0, left
