"""The page in a real browser without a network: what a person sees, and what a machine can measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from chromium import PROGRAMS, Chromium, Opened
from report_samples import cars, check, evaluation

from awml_deploy_core.points import PointColumns
from awml_deploy_core.reporting import Report, write_html
from awml_deploy_core.reporting.bev import write_bev
from awml_deploy_core.reporting.verification_result import (
    BoxesRecord,
    BoxRecord,
    ComparedFrameRecord,
    ScenarioRecord,
    TensorRecord,
    VerificationRecord,
)

pytest.importorskip("matplotlib")

WIDE, NARROW = 1280, 360
LONG = "/data/" + "/".join(["a_folder_whose_name_has_no_place_to_break_a_line"] * 6) + "/drive.mcap#/points"
READABLE = 4.5
"""Contrast that WCAG's level AA asks of text."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    found = Chromium.find(tmp_path_factory.mktemp("chromium"))
    if found is None:
        pytest.skip(f"no browser to open the report in: none of {', '.join(PROGRAMS)} is installed")
    return found


def verification(picture: str) -> VerificationRecord:
    """A scenario that failed, with everything that a scenario can have."""
    tensors = tuple(
        TensorRecord(
            component="pts_backbone_neck_head",
            tensor=name,
            level=level,
            status="failed",
            checks=2,
            max_abs=0.25,
            mean_abs=1e-3,
            relative=0.5,
            relative_p999=0.1,
            cosine=0.98,
            non_finite=3,
        )
        for name in ("heatmap", "reg", "height", "dim", "rot", "vel")
        for level in ("component", "chain")
    )
    box = {"class": "CAR", "score": 0.5, "center": [1.0, 2.0, 0.0]}
    lone = BoxRecord(
        sample=LONG, side="test", borderline=False, box=box, why="nothing of its class is near"
    )
    scenario = ScenarioRecord(
        name="pytorch:cpu vs onnxruntime:cpu",
        reference="pytorch:cpu",
        test="onnxruntime:cpu",
        required=True,
        status="failed",
        seconds=1.0,
        counts={"failed": 1},
        boxes_matched=3,
        boxes_unmatched=1,
        boxes=BoxesRecord(
            matched=3, unmatched=1, borderline=0, coverage=0.75, worst={"position": 0.1}, evidence=(lone,)
        ),
        first_divergence=f"{LONG} / heatmap",
        tensors=tensors,
        frames=(ComparedFrameRecord(sample=LONG, status="failed", summary="1 of 4", picture=picture),),
        checks=(),
    )
    return VerificationRecord(
        status="failed", summary="failed: x", samples=(LONG,), num_samples=2, scenarios=(scenario,)
    )


def full_report(picture: str, *states: str) -> Report:
    """Long texts, hostile ones, and every kind of part."""
    report = evaluation(*map(check, states), picture=picture)
    return report.model_copy(
        update={
            "name": "centerpoint_demo_with_a_name_that_is_longer_than_a_telephone_is_wide",
            "bundle": LONG,
            "provenance": {
                "checkpoint": {"path": LONG, "sha256": "0123456789abcdef" * 4},
                "files": {LONG: "0"},
            },
            "verification": verification(picture) if "fails" in states else None,
        }
    )


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("pictures") / "frame.png"
    points = np.random.default_rng(0).uniform(-20, 20, (500, 4)).astype(np.float32)
    write_bev(path, PointColumns.from_array(points), cars(3), title="frame")
    return str(path)


@pytest.fixture(scope="module", params=["failed", "passed"])
def page(request: pytest.FixtureRequest, picture: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on disk, by its verdict."""
    path: Path = tmp_path_factory.mktemp("report") / f"{request.param}.html"
    states = ["passes", "fails", "is required and skipped"] if request.param == "failed" else ["passes"]
    write_html(full_report(picture, *states), path)
    return path


@pytest.fixture(scope="module")
def opened(chromium: Chromium, page: Path) -> Opened:
    return chromium.open(page, WIDE, NARROW)


def test_the_verdict_is_what_is_seen_first(chromium: Chromium, page: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    shot = imread(str(chromium.screenshot(page, tmp_path / "top.png", WIDE, 300)))[..., :3] * 255
    color = {"passed": (0x13, 0x79, 0x5B), "failed": (0xB4, 0x23, 0x18)}[page.stem]
    is_verdict = (np.abs(shot - color) < 3).all(axis=2)
    # The edge of the card and the badge beside the name.
    assert is_verdict[:150].sum() > 1500
    assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 20


def test_the_page_reaches_nowhere_and_raises_no_complaint(opened: Opened) -> None:
    assert opened.console == ()
    for seen in opened.at.values():
        assert seen.fetched == []


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_everything_fits_and_can_be_read(opened: Opened, page: Path, width: int) -> None:
    seen = opened.at[width]
    assert seen.verdict.startswith(page.stem)
    left, top, right, _ = seen.header
    assert 0 <= left < right <= width
    assert top < 60
    assert seen.scroll_width <= seen.width
    assert seen.beyond == []
    assert seen.squashed == []
    assert seen.cut == []
    contrast, text = seen.faintest
    assert contrast >= READABLE, text


def test_all_pictures_are_there(opened: Opened, page: Path) -> None:
    for width, seen in opened.at.items():
        assert len(seen.pictures) == (2 if page.stem == "failed" else 1)
        for natural, shown in seen.pictures:
            assert natural > 1000
            assert 0.7 * width < shown <= width
