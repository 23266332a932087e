"""Every deploy.yaml that the repository ships is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from awml_deploy_core.config import load_config

CONFIG = Path(__file__).resolve().parents[1] / "config"
FILES = sorted(CONFIG.glob("*/*deploy.yaml"))


def test_there_are_configurations() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_configuration_is_valid(path: Path) -> None:
    loaded = load_config(path)
    assert loaded.family.component_specs(loaded.model)
