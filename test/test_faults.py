"""Faults injected into the running node one by one: it lives, and no cloud is lost without a reason."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import fault_injection
from faults.rows import Row

PATIENCE_S = 120.0
"""It proves nothing: a busy machine takes ten times as long as a quiet one."""


@pytest.fixture(scope="module")
def rows(short_bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Row]]:
    """All faults in one run of the node, started again where the fault is its end."""
    before = dict(os.environ)
    folder = tmp_path_factory.mktemp("faults")
    options = fault_injection.Options(patience_s=PATIENCE_S)
    yield {row.fault: row for row in fault_injection.inject(short_bag, folder, options)}
    os.environ.clear()
    os.environ.update(before)


NAMES = [case.fault for case in fault_injection.cases("/points")]


@pytest.mark.parametrize("fault", NAMES)
def test_a_fault_is_survived_and_every_cloud_accounted_for(rows: dict[str, Row], fault: str) -> None:
    row = rows[fault]
    if row.skipped:
        pytest.skip(row.skipped)
    assert row.problems == (), row


def test_only_what_needs_root_is_skipped(rows: dict[str, Row]) -> None:
    assert list(rows) == NAMES
    assert [row.fault for row in rows.values() if row.skipped] == ["disk full"]
