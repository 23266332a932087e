"""Every planted defect is caught and named, and no clean variation is flagged.

A third of the defects and twenty variations, unless ``AWML_DEPLOY_ALL_FAULTS`` is set: the whole catalogue
takes six minutes of a core. ``python tools/fault_catalogue.py`` runs all of it and writes the page.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from awml_deploy_lab.faults.catalogue import DEFECTS, Row, running
from awml_deploy_lab.faults.outcome import Finding, Outcome
from awml_deploy_lab.faults.variations import VARIATIONS

ROOT = Path(__file__).resolve().parents[4]
MODEL = ROOT / "models" / "centerpoint_demo"
PAGE = ROOT / "docs" / "fault_catalogue.md"
ALL = "AWML_DEPLOY_ALL_FAULTS"
PLANTED = range(0, len(DEFECTS), 1 if os.environ.get(ALL) else 3)
VARIED = range(len(VARIATIONS) if os.environ.get(ALL) else 20)
LEFT_OUT = f"planted with {ALL}=1 and by tools/fault_catalogue.py"
Results = tuple[Mapping[int, Row], Mapping[int, Outcome]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    work = tmp_path_factory.mktemp("faults")
    with running(MODEL, work, defects=PLANTED, variations=VARIED) as (rows, outcomes):
        yield dict(zip(PLANTED, rows, strict=True)), dict(zip(VARIED, outcomes, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(DEFECTS)), ids=[f"{d.where}: {d.name}" for d in DEFECTS])
def test_a_defect_is_caught_and_named(results: Results, number: int) -> None:
    if number not in PLANTED:
        pytest.skip(LEFT_OUT)
    row = results[0][number]
    assert not row.problem, [finding.text for finding in row.outcome.findings]
    assert row.outcome.status in ("failed", "error", "refused")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(VARIATIONS)), ids=[item.name for item in VARIATIONS])
def test_a_clean_variation_is_not_flagged(results: Results, number: int) -> None:
    if number not in VARIED:
        pytest.skip(LEFT_OUT)
    outcome = results[1][number]
    assert outcome.status == "passed", [finding.text for finding in outcome.findings]


def test_the_page_lists_the_catalogue() -> None:
    assert len(PLANTED) >= 25
    assert len(VARIED) >= 20
    page = PAGE.read_text(encoding="utf-8")
    for defect in DEFECTS:
        assert f"| {defect.name} | {defect.where} | {defect.level} |" in page
    for variation in VARIATIONS:
        assert f"- {variation.name}\n" in page


def test_a_quote_says_the_words_and_no_figures_of_the_machine() -> None:
    message = "channels 0 and 1 are swapped; relative 8.78e-01 exceeds 1.00e-04; a file 0123456789abcdef"
    finding = Finding("component", "rot", message)
    assert finding.quote(["swapped"]) == "rot: channels 0 and 1 are swapped"
    assert finding.quote(["file", "exceeds"]) == "rot: relative ... exceeds ...; a file ..."
    assert Outcome("failed", (finding,)).naming(["rot", "swapped"]) is finding
    assert Outcome("failed", (finding,)).naming(["yaw"]) is None
