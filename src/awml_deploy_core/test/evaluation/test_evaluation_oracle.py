"""Against nuscenes-devkit's own figures; ``tools/detection_oracle.py`` writes the fixture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation import DetectionMetricSettings, EvaluatedFrame, evaluate_detections
from awml_deploy_core.evaluation.metrics import TpErrors
from awml_deploy_core.ground_truth import GroundTruth

FIXTURE = json.loads((Path(__file__).parent / "nuscenes_devkit.json").read_text())
NAMES = {"trans_err": "ate", "scale_err": "ase", "orient_err": "aoe", "vel_err": "ave"}


def close(value: float) -> Any:
    return pytest.approx(value, abs=1e-9, rel=1e-9)


def detections(part: dict[str, Any], classes: tuple[str, ...]) -> Detections:
    n = len(part["labels"])
    velocities = [[np.nan, np.nan] if value is None else value for value in part["velocities"]]
    return Detections(
        np.array(part["centers"], np.float32).reshape(n, 3),
        np.array(part["sizes"], np.float32).reshape(n, 3),
        np.array(part["yaws"], np.float32),
        np.array(velocities, np.float32).reshape(n, 2),
        np.array(part.get("scores", np.ones(n)), np.float32),
        np.array(part["labels"], np.int32),
        classes,
    )


def frames(case: dict[str, Any]) -> list[EvaluatedFrame]:
    classes = tuple(case["classes"])
    return [
        EvaluatedFrame(
            part["id"],
            detections(part["detections"], classes),
            GroundTruth(
                detections(part["ground_truth"], classes),
                np.array(part["ground_truth"]["num_points"], np.int32),
                np.full(len(part["ground_truth"]["labels"]), -1, np.int32),
            ),
        )
        for part in case["frames"]
    ]


def assert_errors(errors: TpErrors | None, expected: dict[str, float]) -> None:
    assert errors is not None
    for theirs, ours in NAMES.items():
        assert getattr(errors, ours) == close(expected[theirs]), ours


@pytest.mark.parametrize("case", FIXTURE["cases"], ids=lambda case: case["name"])
def test_all_figures_are_those_of_the_devkit(case: dict[str, Any]) -> None:
    settings = DetectionMetricSettings(max_distance=case["max_distance"], half_turn_classes=("barrier",))
    metrics = evaluate_detections(frames(case), settings)
    expected = case["expected"]
    for entry in metrics.classes:
        theirs = expected["classes"].get(entry.name)
        if theirs is None:
            assert (entry.num_gt, entry.ap, entry.mean_ap, entry.errors) == (0, None, None, None)
            continue
        assert (entry.num_gt, entry.num_predictions) == (theirs["num_gt"], theirs["num_predictions"])
        assert entry.ap is not None
        assert list(entry.ap.values()) == [close(value) for value in theirs["ap"]]
        assert entry.mean_ap == close(np.mean(theirs["ap"]))
        assert_errors(entry.errors, theirs["errors"])
    assert metrics.mean_ap == close(expected["mean_ap"])
    assert_errors(metrics.errors, expected["errors"])
    # No box of the fixture has an attribute, which makes the devkit's attribute error 1.
    assert expected["errors"]["attr_err"] == 1
    assert metrics.nds_with_attribute_error_of_one == close(expected["nds"])
    assert metrics.nds_without_attributes == close(expected["nds"] * 10 / 9)


def test_the_fixture_holds_what_it_is_for() -> None:
    cases = {case["name"]: case for case in FIXTURE["cases"]}
    scores = [score for part in cases["ties in score"]["frames"] for score in part["detections"]["scores"]]
    assert len(set(scores)) < len(scores) / 5
    unmeasured = cases["degenerate"]["expected"]["classes"]
    assert unmeasured["car"]["num_predictions"] > 0
    assert unmeasured["truck"]["num_predictions"] == 0
    assert "barrier" not in unmeasured
    velocities = cases["unknown velocities"]["expected"]["classes"]
    assert velocities["truck"]["errors"]["vel_err"] == 1 > velocities["car"]["errors"]["vel_err"]
    # Were rear and front told apart, a barrier turned by half a turn would be off by pi.
    assert cases["typical"]["expected"]["classes"]["barrier"]["errors"]["orient_err"] < 1
