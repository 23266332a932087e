"""Every planted defect is caught and named, and no clean variation is flagged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from awml_deploy_lab.faults.catalogue import DEFECTS, Row, render, running
from awml_deploy_lab.faults.outcome import Finding, Outcome
from awml_deploy_lab.faults.variations import VARIATIONS

PAGE = Path(__file__).resolve().parents[4] / "docs" / "fault_catalogue.md"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Row], list[Outcome]]]:
    with running(tmp_path_factory.mktemp("faults")) as (rows, outcomes):
        yield list(rows), list(outcomes)


@pytest.mark.parametrize("number", range(len(DEFECTS)), ids=[f"{d.where}: {d.name}" for d in DEFECTS])
def test_a_defect_is_caught_and_named(results: tuple[list[Row], list[Outcome]], number: int) -> None:
    row = results[0][number]
    assert not row.problem, [finding.text for finding in row.outcome.findings]
    assert row.outcome.status in ("failed", "error", "refused")


@pytest.mark.parametrize("number", range(len(VARIATIONS)), ids=[item.name for item in VARIATIONS])
def test_a_clean_variation_is_not_flagged(results: tuple[list[Row], list[Outcome]], number: int) -> None:
    outcome = results[1][number]
    assert outcome.status == "passed", [finding.text for finding in outcome.findings]


def test_the_page_is_what_was_found(results: tuple[list[Row], list[Outcome]]) -> None:
    assert len(DEFECTS) >= 25
    assert len(VARIATIONS) >= 20
    text = render(results[0])
    assert PAGE.read_text(encoding="utf-8") == text, "run python tools/fault_catalogue.py"


def test_a_quote_says_the_words_and_no_figures_of_the_machine() -> None:
    message = "channels 0 and 1 are swapped; relative 8.78e-01 exceeds 1.00e-04; a file 0123456789abcdef"
    finding = Finding("component", "rot", message)
    assert finding.quote(["swapped"]) == "rot: channels 0 and 1 are swapped"
    assert finding.quote(["file", "exceeds"]) == "rot: relative ... exceeds ...; a file ..."
    assert Outcome("failed", (finding,)).naming(["rot", "swapped"]) is finding
    assert Outcome("failed", (finding,)).naming(["yaw"]) is None
