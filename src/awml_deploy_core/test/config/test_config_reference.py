from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[4] / "tools" / "config_reference.py"


@pytest.mark.skipif(not TOOL.is_file(), reason="not in a checkout of the whole repository")
@pytest.mark.skipif(importlib.util.find_spec("awml_extractors") is None, reason="needs awml_extractors")
def test_configuration_reference_is_current() -> None:
    command = [sys.executable, str(TOOL), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
