from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import entry_points as installed_entry_points
from pathlib import Path
from typing import Any

import pytest
from toy_family import ToyFamily, write_clouds

DEFAULT_ASSETS = Path(__file__).resolve().parents[4] / "shared" / "assets"


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real clouds, bags and models, which the repository does not contain."""
    folder = Path(os.environ.get("AWML_DEPLOY_TEST_ASSETS", DEFAULT_ASSETS))
    if not folder.is_dir():
        pytest.skip(f"no test assets at {folder}; set AWML_DEPLOY_TEST_ASSETS")
    return folder


@dataclass(frozen=True)
class FakeEntryPoint:
    name: str
    plugin: Any

    @property
    def value(self) -> str:
        return f"test:{self.name}"

    def load(self) -> Any:
        return self.plugin


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyFamily:
    """Installs the toy model family beside the installed ones."""

    def entry_points(*, group: str) -> list[Any]:
        found = list(installed_entry_points(group=group))
        return [*found, FakeEntryPoint("toy", ToyFamily)] if group == "awml_deploy.models" else found

    monkeypatch.setattr("awml_deploy_core.family.entry_points", entry_points)
    return ToyFamily()


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    """A folder of three small clouds."""
    folder = tmp_path / "clouds"
    write_clouds(folder)
    return folder
