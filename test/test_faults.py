"""Faults injected into the running node one by one: it lives, and no cloud is lost without a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import fault_injection

PATIENCE_S = 120.0
"""It proves nothing: a busy machine takes ten times as long as a quiet one."""


@pytest.fixture(scope="module")
def rows(short_bag: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """All faults in one run of the node, started again where the fault is its end.

    In a process of its own: Fast DDS reads its profile for large clouds once, before other tests need it.
    """
    folder = tmp_path_factory.mktemp("faults")
    command = [sys.executable, str(ROOT / "benchmarks" / "fault_injection.py"), "--busy", "0"]
    command += ["--bag", str(short_bag), "--json", str(folder / "faults.json")]
    command += ["--logs", str(folder / "run"), "--patience", str(PATIENCE_S)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert (folder / "faults.json").exists(), done.stdout
    return {row["fault"]: row for row in json.loads((folder / "faults.json").read_text())["rows"]}


NAMES = [case.fault for case in fault_injection.cases("/points")]


@pytest.mark.parametrize("fault", NAMES)
def test_a_fault_is_survived_and_every_cloud_accounted_for(
    rows: dict[str, dict[str, Any]], fault: str
) -> None:
    row = rows[fault]
    if row["skipped"]:
        pytest.skip(row["skipped"])
    assert row["problems"] == [], row


def test_only_what_needs_root_is_skipped(rows: dict[str, dict[str, Any]]) -> None:
    assert list(rows) == NAMES
    assert [row["fault"] for row in rows.values() if row["skipped"]] == ["disk full"]
