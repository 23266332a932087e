"""Documents that are generated from the code are current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"


@pytest.mark.parametrize("tool", ["config_reference.py", "result_schema.py", "ros_reference.py"])
def test_a_generated_reference_is_current(tool: str) -> None:
    command = [sys.executable, str(TOOLS / tool), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
