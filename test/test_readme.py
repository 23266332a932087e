"""Every command of the README is run as it stands there, or says what it needs."""

from __future__ import annotations

import subprocess

import pytest
from conftest import ROOT, DemoRun
from readme import CommandBlock, command_blocks

GATE = "run by the gate"
"""Its command is the one that .ci/run calls: it cannot run inside itself."""
ELSEWHERE = {
    "needs a GPU": "there is none in CI",
    "needs a ROS 2 installation": "CI has ROS 2 from wheels",
    "needs its own virtual environment": "see test_installation.py",
}

BLOCKS = command_blocks(ROOT / "README.md")


def test_the_first_block_is_the_main_job(demo: DemoRun) -> None:
    assert BLOCKS[0].commands == ("make demo",)
    assert demo.exit_code == 0, demo.output


def test_the_gate_runs_the_readmes_test_command() -> None:
    (block,) = (block for block in BLOCKS if block.marker == GATE)
    gate = (ROOT / ".ci" / "run").read_text()
    assert all(command in gate for command in block.commands)


def test_every_block_is_run_or_marked() -> None:
    unknown = [block for block in BLOCKS if block.marker not in {"", GATE, *ELSEWHERE}]
    assert not unknown
    assert sum(not block.marker for block in BLOCKS) >= 6


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS[1:] if block.marker != GATE],
    ids=lambda block: f"line {block.line}",
)
def test_a_block_runs(block: CommandBlock, demo: DemoRun) -> None:
    assert demo.exit_code == 0, demo.output
    if block.marker:
        pytest.skip(f"{block.marker}: {ELSEWHERE[block.marker]}")
    script = "\n".join(block.commands)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    assert done.stdout.strip()
