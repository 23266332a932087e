"""What starting the command line may cost, and what the vehicle path may load."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "onnx", "onnxruntime", "numpy", "pydantic", "yaml", "rich", "matplotlib", "numba")


def loaded_modules(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {line.partition(".")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("command", ["", "export", "verify", "run", "infer", "inspect", "doctor"])
def test_help_loads_nothing_heavy(command: str) -> None:
    arguments = [command, "--help"] if command else ["--help"]
    code = (
        "from awml_deploy_core.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert end.code == 0"
    )
    assert not loaded_modules(code) & set(HEAVY)
