from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation import EvaluatedFrame, evaluate_detections
from awml_deploy_core.evaluation.detection3d_tables import headline, metric_tables
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.reporting.evaluation_terminal import print_line, print_table

CLASSES = ("CAR", "BUS [old]", "PEDESTRIAN")


def boxes(labels: list[int], classes: tuple[str, ...] = CLASSES) -> Detections:
    """Boxes ten metres from each other."""
    n = len(labels)
    return Detections(
        np.column_stack([10 * np.arange(1, n + 1), np.zeros(n), np.zeros(n)]).astype(np.float32),
        np.ones((n, 3), np.float32),
        np.zeros(n, np.float32),
        np.zeros((n, 2), np.float32),
        np.ones(n, np.float32),
        np.array(labels, np.int32),
        classes,
    )


def printed(found: Detections, there: Detections, num_points: int = -1, width: int = 80) -> str:
    n = len(there)
    truth = GroundTruth(there, np.full(n, num_points, np.int32), np.full(n, -1, np.int32))
    if n:
        truth.num_points[0] = 1
    console = Console(file=io.StringIO(), width=width)
    metrics = evaluate_detections([EvaluatedFrame("0", found, truth)])
    for table in metric_tables(metrics):
        print_table(table, console)
    print_line(headline(metrics), console)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


@pytest.mark.parametrize("width", [40, 80, 160])
def test_no_figure_is_cut_on_any_terminal(width: int) -> None:
    text = printed(boxes([0, 1]), boxes([0, 1]), width=width)
    assert "…" not in text
    row = next(line for line in text.splitlines() if "CAR" in line)
    assert row.split() == ["CAR", "1", "1", *["1.000"] * 5, *["0.000"] * 4]
    assert "BUS [old]" in text
    assert "mAP 1.000, NDS without attributes 1.000 over 1 frames, 2 boxes" in text
    assert any(line.split()[:1] == ["20-40m"] for line in text.splitlines())


def test_what_is_not_evaluated_shows_no_figure() -> None:
    text = printed(boxes([0, 2]), boxes([0]))
    row = next(line for line in text.splitlines() if "PEDESTRIAN" in line)
    assert row.split() == ["PEDESTRIAN", "0", "1", *["-"] * 9]


def test_errors_that_were_not_measured_are_marked_and_explained() -> None:
    text = printed(boxes([]), boxes([0]))
    assert text.count("1.000*") == 12
    # One below each table that has marks.
    assert text.count("* not measured: recall at 2 m is not above 10%") == 2
    assert "*" not in printed(boxes([0]), boxes([0]))


def test_a_model_without_velocity_has_no_nds() -> None:
    text = printed(replace(boxes([0]), has_velocity=False), boxes([0]))
    assert "no NDS (the model has no velocities)" in text
    row = next(line for line in text.splitlines() if "CAR" in line)
    assert row.split()[-2:] == ["0.000", "-"]


def test_what_is_left_out_is_named() -> None:
    text = printed(boxes([0, 1], ("CAR", "TRAILER")), boxes([0, 1, 0], ("CAR", "ANIMAL")), num_points=0)
    assert "left out, ground truth of unknown class: ANIMAL 1" in text
    assert "left out, detections of unknown class: TRAILER 1" in text
    assert "left out, ground truth without points: CAR 1" in text
