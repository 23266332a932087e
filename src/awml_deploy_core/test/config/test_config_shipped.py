from __future__ import annotations

from pathlib import Path

import pytest

from awml_deploy_core.config import load_config

CONFIG = Path(__file__).resolve().parents[4] / "config"
FILES = sorted(CONFIG.glob("*/*deploy.yaml"))


@pytest.mark.skipif(not FILES, reason="not in a checkout of the whole repository")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path: Path) -> None:
    pytest.importorskip("awml_extractors", reason="the configured family is not installed")
    loaded = load_config(path)
    assert loaded.family.component_specs(loaded.model)
