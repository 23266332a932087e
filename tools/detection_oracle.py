"""Write the fixture of the detection metrics' tests: random boxes and what nuscenes-devkit says of them.

Not run in CI: the devkit needs numpy < 2 and much else. To write the fixture anew:

    python3 -m venv oracle-venv
    oracle-venv/bin/pip install "numpy<2" pyquaternion tqdm matplotlib scikit-learn shapely cachetools \
        opencv-python-headless
    oracle-venv/bin/pip install --no-deps nuscenes-devkit==1.2.0
    oracle-venv/bin/python tools/detection_oracle.py \
        src/awml_deploy_core/test/evaluation/nuscenes_devkit.json
"""

from __future__ import annotations

import json
import math
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.loaders import filter_eval_boxes
from nuscenes.eval.common.utils import center_distance
from nuscenes.eval.detection.algo import accumulate, calc_ap, calc_tp
from nuscenes.eval.detection.constants import DETECTION_NAMES, TP_METRICS
from nuscenes.eval.detection.data_classes import DetectionBox, DetectionConfig, DetectionMetrics

CLASSES = ("car", "truck", "bus", "pedestrian", "barrier")
THRESHOLDS = (0.5, 1.0, 2.0, 4.0)
TP_THRESHOLD = 2.0
FAR = 1e6


class NoBicycleRacks:
    """Stands in for the data base that the devkit's filter asks for bicycle racks."""

    def get(self, table: str, token: str) -> dict[str, Any]:
        return {"anns": []}


def main(target: Path) -> None:
    cases = [
        case("typical", typical(np.random.default_rng(1))),
        case("ties in score", typical(np.random.default_rng(2), score_decimals=1)),
        case("unknown velocities", unknown_velocities(np.random.default_rng(3))),
        case("degenerate", degenerate(np.random.default_rng(4))),
        case(
            "limits of range and points",
            typical(np.random.default_rng(5)),
            {"car": 40.0, "truck": 30.0, "bus": 50.0, "pedestrian": 25.0, "barrier": 20.0},
        ),
    ]
    fixture = {"nuscenes_devkit": version("nuscenes-devkit"), "cases": cases}
    text = json.dumps(fixture, separators=(",", ":"), allow_nan=False).replace('{"name"', '\n{"name"')
    target.write_text(text + "\n")


def typical(rng: np.random.Generator, score_decimals: int = 3) -> list[dict[str, Any]]:
    """Noisy detections of most boxes, some twice, and some of nothing."""
    frames = []
    for index in range(8):
        truth = random_boxes(rng, 20)
        truth["num_points"] = rng.choice([-1, 0, 1, 5, 100], 20).tolist()
        unknown = rng.random(20) < 0.2
        truth["velocities"] = [
            None if hidden else v for hidden, v in zip(unknown, truth["velocities"], strict=True)
        ]
        kept = np.flatnonzero(rng.random(20) < 0.8)
        twice = rng.choice(20, 3, replace=False)
        parts = [noisy(rng, truth, [*kept, *twice]), random_boxes(rng, 5)]
        found = {key: [*parts[0][key], *parts[1][key]] for key in parts[0]}
        found["scores"] = np.round(rng.uniform(0.05, 1.0, len(found["labels"])), score_decimals).tolist()
        frames.append({"id": f"frame {index}", "ground_truth": truth, "detections": found})
    return frames


def unknown_velocities(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Half of all velocities unknown, and all those of trucks; one frame without ground truth."""
    frames = typical(rng)
    for frame in frames:
        truth = frame["ground_truth"]
        truth["velocities"] = [
            None if label == 1 or rng.random() < 0.5 else velocity
            for label, velocity in zip(truth["labels"], truth["velocities"], strict=True)
        ]
    frames[3]["ground_truth"] = {key: [] for key in frames[3]["ground_truth"]}
    return frames


def degenerate(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Car: recall below 0.1. Truck: no detections. Bus: none that matches. Pedestrian: some scores 0.
    Barrier: no ground truth. One frame without detections."""
    frames = typical(rng)
    cars_left = 4
    for frame in frames:
        truth, found = frame["ground_truth"], frame["detections"]
        for row, label in enumerate(truth["labels"]):
            truth["labels"][row] = 0 if label == 4 else label
        keep = []
        for row, label in enumerate(found["labels"]):
            if label == 2:
                found["centers"][row][0] += 300.0
            if label == 3 and rng.random() < 0.3:
                found["scores"][row] = 0.0
            cars_left -= label == 0
            if label != 1 and not (label == 0 and cars_left < 0):
                keep.append(row)
        for key, values in found.items():
            found[key] = [values[row] for row in keep]
    frames[5]["detections"] = {key: [] for key in frames[5]["detections"]}
    return frames


def random_boxes(rng: np.random.Generator, count: int) -> dict[str, Any]:
    """Boxes of all classes within 50 m."""
    return {
        "centers": np.round(rng.uniform([-50, -50, -1], [50, 50, 1], (count, 3)), 2).tolist(),
        "sizes": np.round(rng.uniform(0.5, 6.0, (count, 3)), 2).tolist(),
        "yaws": np.round(rng.uniform(-3.14, 3.14, count), 3).tolist(),
        "velocities": np.round(rng.normal(0, 5, (count, 2)), 2).tolist(),
        "labels": rng.integers(0, len(CLASSES), count).tolist(),
    }


def noisy(rng: np.random.Generator, truth: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    """Boxes near some of the given ones."""
    count = len(rows)
    velocities = [truth["velocities"][row] or [0.0, 0.0] for row in rows]
    turned = np.array(truth["yaws"])[rows] + rng.normal(0, 0.3, count) + np.pi * (rng.random(count) < 0.2)
    spread = rng.choice([0.2, 0.7, 2.0], (count, 1))
    return {
        "centers": np.round(
            np.array(truth["centers"])[rows] + spread * rng.normal(0, 1, (count, 3)), 2
        ).tolist(),
        "sizes": np.round(np.array(truth["sizes"])[rows] * rng.uniform(0.8, 1.2, (count, 3)), 2).tolist(),
        "yaws": np.round((turned + np.pi) % (2 * np.pi) - np.pi, 3).tolist(),
        "velocities": np.round(np.array(velocities) + rng.normal(0, 0.5, (count, 2)), 2).tolist(),
        "labels": [truth["labels"][row] for row in rows],
    }


def case(
    name: str, frames: list[dict[str, Any]], max_distance: dict[str, float] | None = None
) -> dict[str, Any]:
    """Boxes, settings and the devkit's verdict."""
    return {
        "name": name,
        "classes": CLASSES,
        "max_distance": max_distance or {},
        "frames": frames,
        "expected": judge(frames, max_distance or {}),
    }


def judge(frames: list[dict[str, Any]], max_distance: dict[str, float]) -> dict[str, Any]:
    """The steps of the devkit's ``DetectionEval``: filter, accumulate, summarise."""
    ranges = {name: max_distance.get(name, FAR) for name in DETECTION_NAMES}
    truths, found = (
        filter_eval_boxes(NoBicycleRacks(), eval_boxes(frames, side), ranges)
        for side in ("ground_truth", "detections")
    )
    config = DetectionConfig(ranges, "center_distance", list(THRESHOLDS), TP_THRESHOLD, 0.1, 0.1, 500, 5)
    with_truth = [name for name in CLASSES if any(box.detection_name == name for box in truths.all)]
    # Means over these only: the fixture is about fewer classes than nuScenes has.
    config.class_names = with_truth
    metrics = DetectionMetrics(config)
    for name in with_truth:
        for threshold in THRESHOLDS:
            data = accumulate(truths, found, name, center_distance, threshold)
            metrics.add_label_ap(name, threshold, calc_ap(data, 0.1, 0.1))
            if threshold == TP_THRESHOLD:
                for metric in TP_METRICS:
                    metrics.add_label_tp(name, metric, calc_tp(data, 0.1, metric))
    return {
        "classes": {
            name: {
                "num_gt": sum(box.detection_name == name for box in truths.all),
                "num_predictions": sum(box.detection_name == name for box in found.all),
                "ap": [metrics.get_label_ap(name, threshold) for threshold in THRESHOLDS],
                "errors": {metric: metrics.get_label_tp(name, metric) for metric in TP_METRICS},
            }
            for name in with_truth
        },
        "mean_ap": metrics.mean_ap,
        "errors": metrics.tp_errors,
        "nds": metrics.nd_score,
    }


def eval_boxes(frames: list[dict[str, Any]], side: str) -> EvalBoxes:
    """Boxes as the devkit wants them; values as single precision has them."""
    boxes = EvalBoxes()
    for frame in frames:
        part = frame[side]
        boxes.add_boxes(
            frame["id"], [detection_box(frame["id"], part, row) for row in range(len(part["labels"]))]
        )
    return boxes


def detection_box(sample: str, part: dict[str, Any], row: int) -> DetectionBox:
    center = single(part["centers"][row])
    (yaw,) = single([part["yaws"][row]])
    velocity = part["velocities"][row]
    # Width and length change places: the devkit has width, length, height.
    length, width, height = single(part["sizes"][row])
    return DetectionBox(
        sample_token=sample,
        translation=center,
        size=(width, length, height),
        rotation=(math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)),
        velocity=(math.nan, math.nan) if velocity is None else single(velocity),
        ego_translation=center,
        num_pts=part.get("num_points", [-1] * (row + 1))[row],
        detection_name=CLASSES[part["labels"][row]],
        detection_score=single(part["scores"])[row] if "scores" in part else -1.0,
    )


def single(values: list[float]) -> tuple[float, ...]:
    return tuple(float(np.float32(value)) for value in values)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
