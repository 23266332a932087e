"""What the shipped weights find on held-out simulated scenes, measured on the exported bundle."""

from __future__ import annotations

from pathlib import Path

from awml_deploy_core.evaluation import DetectionMetricSettings
from awml_deploy_lab.evaluation.held_out import CLASS_RANGES, evaluate

FRAMES = 12
LEAST_MEAN_AP = 0.70
"""On these frames the weights reach 0.78."""
LEAST_AP = {"CAR": 0.8, "TRUCK": 0.5, "BUS": 0.35, "BICYCLE": 0.6, "PEDESTRIAN": 0.75}


def test_the_exported_demo_model_is_as_good_as_measured(bundle: Path) -> None:
    metrics = evaluate(bundle, FRAMES, 1, DetectionMetricSettings(max_distance=CLASS_RANGES)).metrics
    assert metrics.num_frames == FRAMES
    found = {entry.name: entry.mean_ap for entry in metrics.classes}
    assert found.keys() == LEAST_AP.keys()
    assert all(found[name] >= least for name, least in LEAST_AP.items()), found
    assert metrics.mean_ap >= LEAST_MEAN_AP
