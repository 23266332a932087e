"""Writes what tier4/autoware_perception_evaluation says of seeded frames, which the tests compare with.

    PYTHONPATH=<checkout>/perception_eval python tools/autoware_oracle.py \\
        src/awml_deploy_core/test/evaluation/perception_eval.json

Needs numpy, shapely, pyquaternion and a checkout of github.com/tier4/autoware_perception_evaluation
(made with commit 96b7182), and nothing of this repository. One thing is put right first: its headings
come from ``Quaternion.radians``, which loses the sign of the yaw, so that its APH takes +1 and -1 rad
for the same heading.
"""

from __future__ import annotations

import json
import sys
import types
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

THRESHOLDS = {
    "center_distance": [0.5, 1.0, 2.0],
    "center_distance_bev": [0.5, 1.0, 2.0, 4.0],
    "plane_distance": [0.5, 1.0, 2.0],
    "iou_bev": [0.3, 0.5, 0.7],
    "iou_3d": [0.3, 0.5],
}


def frames(seed: int = 5, count: int = 12) -> list[list[list[list[float]]]]:
    """Detections and ground truth of every frame: x, y, z, length, width, height, yaw, score."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        there, false = rng.integers(0, 9), rng.integers(0, 4)
        places = np.c_[rng.uniform(-50, 50, (there, 2)), rng.normal(0, 0.5, there)]
        sizes = rng.uniform((3.0, 1.5, 1.3), (5.0, 2.2, 2.0), (there, 3))
        yaws = rng.uniform(-3.1, 3.1, there)
        seen = rng.random(there) < 0.85
        found = int(seen.sum())
        turned = yaws[seen] + rng.normal(0, 0.2, found) + np.pi * (rng.random(found) < 0.2)
        detected = np.r_[
            np.c_[
                places[seen] + rng.normal(0, 0.35, (found, 3)),
                sizes[seen] * rng.uniform(0.9, 1.1, (found, 3)),
                (turned + np.pi) % (2 * np.pi) - np.pi,
            ],
            np.c_[
                rng.uniform(-50, 50, (false, 2)),
                np.tile((0.0, 4.0, 2.0, 1.5), (false, 1)),
                rng.uniform(-3, 3, false),
            ],
        ]
        # No two scores are equal: ties are broken differently.
        scores = rng.permutation(1000)[: found + false] / 1000 + number * 1e-5 + 5e-4
        boxes = (np.c_[detected, scores], np.c_[places, sizes, yaws, np.ones(there)])
        made.append([part.astype(np.float32).astype(float).tolist() for part in boxes])
    return made


def evaluate(data: list[list[list[list[float]]]]) -> dict[str, dict[str, dict[str, float]]]:
    """AP and APH by policy and threshold."""
    from perception_eval.common.evaluation_task import EvaluationTask
    from perception_eval.common.label import AutowareLabel, Label
    from perception_eval.common.object import DynamicObject
    from perception_eval.common.schema import FrameID
    from perception_eval.common.shape import Shape, ShapeType
    from perception_eval.evaluation.matching import MatchingMode
    from perception_eval.evaluation.metrics.detection.ap import Ap
    from perception_eval.evaluation.metrics.detection.tp_metrics import TPMetricsAp, TPMetricsAph
    from perception_eval.evaluation.result.object_result_matching import NuscenesObjectMatcher
    from pyquaternion import Quaternion

    DynamicObject.get_heading_bev = lambda self, transforms=None: self.state.orientation.yaw_pitch_roll[0]
    modes = {
        "center_distance": MatchingMode.CENTERDISTANCE,
        "center_distance_bev": MatchingMode.CENTERDISTANCEBEV,
        "plane_distance": MatchingMode.PLANEDISTANCE,
        "iou_bev": MatchingMode.IOU2D,
        "iou_3d": MatchingMode.IOU3D,
    }
    keys = {"iou_bev": "iou_2d_thresholds"}
    nested = {keys.get(name, f"{name}_thresholds"): [[t] for t in ts] for name, ts in THRESHOLDS.items()}
    config = types.SimpleNamespace(
        target_labels=[AutowareLabel.CAR],
        detection_config=types.SimpleNamespace(**nested),
        classification_config=None,
    )

    def made(row: list[float]) -> Any:
        x, y, z, length, width, height, yaw, score = row
        shape = Shape(ShapeType.BOUNDING_BOX, (width, length, height))
        turn = Quaternion(axis=[0, 0, 1], radians=yaw)
        label = Label(AutowareLabel.CAR, "car")
        return DynamicObject(0, FrameID.BASE_LINK, (x, y, z), turn, shape, (0, 0, 0), score, label)

    matcher = NuscenesObjectMatcher(EvaluationTask.DETECTION, config)
    results: Any = defaultdict(list)
    for found, there in data:
        matched = matcher.match(list(map(made, found)), list(map(made, there)))
        for mode, by_label in matched.items():
            for threshold, objects in by_label[AutowareLabel.CAR].items():
                results[mode, threshold] += objects
    count = sum(len(there) for _, there in data)
    kinds = {"ap": TPMetricsAp(), "aph": TPMetricsAph()}
    return {
        name: {
            kind: {
                str(t): Ap(metric, results[modes[name], t], count, AutowareLabel.CAR, modes[name], t).ap
                for t in thresholds
            }
            for kind, metric in kinds.items()
        }
        for name, thresholds in THRESHOLDS.items()
    }


if __name__ == "__main__":
    content = frames()
    text = json.dumps({"frames": content, "thresholds": THRESHOLDS, "expected": evaluate(content)})
    Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")
