"""Makes the packages of this checkout importable, with their entry points, where nothing is installed.

So that one command is enough on a machine that has the dependencies alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path

_SOURCES = Path(__file__).resolve().parents[1] / "src"
_PACKAGES = ("awml_deploy_core", "awml_extractors", "awml_deploy_lab")


def make_importable() -> None:
    """Put sources and records of entry points on the path, of this process and of those it starts."""
    folders = [str(_SOURCES / name) for name in _PACKAGES]
    if not entry_points(group="awml_deploy.backends"):
        records = tempfile.mkdtemp(prefix="awml_deploy_entry_points_")
        for name in _PACKAGES:
            command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", records]
            subprocess.run(command, cwd=_SOURCES / name, check=True)
        folders.append(records)
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])


make_importable()
