from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT_ASSETS = Path(__file__).resolve().parents[4] / "shared" / "assets"


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real clouds, bags and models, which the repository does not contain."""
    folder = Path(os.environ.get("AWML_DEPLOY_TEST_ASSETS", DEFAULT_ASSETS))
    if not folder.is_dir():
        pytest.skip(f"no test assets at {folder}; set AWML_DEPLOY_TEST_ASSETS")
    return folder
