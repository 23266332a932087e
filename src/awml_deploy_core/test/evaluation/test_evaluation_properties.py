"""What has to hold of the metrics for any boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation_frames import CLASSES, boxes, frame, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation import (
    DetectionMetrics,
    DetectionMetricSettings,
    EvaluatedFrame,
    evaluate_detections,
)

FEW = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def random_frames(seed: int) -> list[EvaluatedFrame]:
    """One to four frames; detections near most of the ground truth, with distinct scores."""
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(rng.integers(1, 5)):
        there = random_boxes(rng, int(rng.integers(1, 9)))
        near = there.centers[:, :2] + rng.normal(0, 1.5, (len(there), 2))
        stray = rng.uniform(-40, 40, (int(rng.integers(0, 4)), 2))
        labels = [*there.labels, *rng.integers(0, len(CLASSES), len(stray))]
        found = boxes(
            [*near, *stray], labels, rng.permutation(np.arange(1, len(labels) + 1)) / 100 + index / 1000
        )
        frames.append(frame(found, there, str(index)))
    return frames


def random_boxes(rng: np.random.Generator, count: int) -> Detections:
    """Boxes of all classes on distinct places of a grid of a quarter of a metre, so that moving them by
    whole metres is exact."""
    places = rng.choice(320 * 320, count, replace=False)
    centers = np.stack(np.divmod(places, 320), axis=1) / 4 - 40
    made = boxes(centers.tolist(), rng.integers(0, len(CLASSES), count).tolist())
    return replace(
        made,
        sizes=rng.uniform(0.3, 9, (count, 3)).astype(np.float32),
        yaws=rng.uniform(-np.pi, np.pi, count).astype(np.float32),
        velocities=rng.normal(0, 5, (count, 2)).astype(np.float32),
    )


def figures(metrics: DetectionMetrics) -> list[float]:
    """AP of every class and threshold, 0 where there is none."""
    return [
        value
        for entry in metrics.classes
        for value in (entry.ap or dict.fromkeys(metrics.settings.thresholds, 0.0)).values()
    ]


@FEW
@given(seeds)
def test_perfect_detections_have_full_precision_and_no_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(3):
        there = random_boxes(rng, int(rng.integers(1, 9)))
        found = replace(there, scores=rng.uniform(0.1, 1, len(there)).astype(np.float32))
        frames.append(frame(found, there, str(index)))
    metrics = evaluate_detections(frames)
    for part in (metrics, *(part for part in metrics.by_range if part.num_gt)):
        assert part.mean_ap == pytest.approx(1)
        assert part.errors is not None
        assert (part.errors.ate, part.errors.aoe, part.errors.ave) == (0, 0, 0)
        assert part.errors.ase == pytest.approx(0, abs=1e-12)
    assert metrics.nds_without_attributes == pytest.approx(1)
    assert metrics.nds_with_attribute_error_of_one == pytest.approx(0.9)


@FEW
@given(seeds)
def test_order_of_frames_and_boxes_does_not_matter(seed: int) -> None:
    frames = random_frames(seed)
    rng = np.random.default_rng(seed)
    shuffled = [
        replace(
            part,
            detections=part.detections.select(rng.permutation(len(part.detections))),
            ground_truth=part.ground_truth.select(rng.permutation(len(part.ground_truth))),
        )
        for part in (frames[index] for index in rng.permutation(len(frames)))
    ]
    assert evaluate_detections(shuffled) == evaluate_detections(frames)


@FEW
@given(seeds, st.integers(0, len(CLASSES) - 1))
def test_a_false_positive_never_raises_precision(seed: int, label: int) -> None:
    frames = random_frames(seed)
    last = frames[-1]
    far = boxes([[500.0, 0.0]], [label], [0.0001])
    found = last.detections
    names = ("centers", "sizes", "yaws", "velocities", "scores", "labels")
    columns = {name: np.concatenate([getattr(found, name), getattr(far, name)]) for name in names}
    worse = [*frames[:-1], replace(last, detections=replace(found, **columns))]
    before, after = (figures(evaluate_detections(part)) for part in (frames, worse))
    assert all(b <= a + 1e-12 for a, b in zip(before, after, strict=True))


@FEW
@given(seeds, st.integers(-30, 30), st.integers(-30, 30))
def test_moving_everything_changes_no_precision(seed: int, x: int, y: int) -> None:
    frames = random_frames(seed)
    step = np.array([x, y, 0], np.float32)

    def on_grid(part: Detections) -> Detections:
        return replace(part, centers=np.round(part.centers * 64) / np.float32(64))

    def moved(part: EvaluatedFrame, by: np.ndarray) -> EvaluatedFrame:
        found, there = on_grid(part.detections), on_grid(part.ground_truth.boxes)
        return frame(
            replace(found, centers=found.centers + by),
            replace(there, centers=there.centers + by),
            part.sample_id,
        )

    still = evaluate_detections([moved(part, 0 * step) for part in frames])
    assert figures(evaluate_detections([moved(part, step) for part in frames])) == figures(still)


@FEW
@given(seeds)
def test_ranges_share_out_all_boxes(seed: int) -> None:
    frames = random_frames(seed)
    metrics = evaluate_detections(frames, DetectionMetricSettings(range_borders=(10.0, 25.0)))
    assert len(metrics.by_range) == 3
    assert sum(part.num_gt for part in metrics.by_range) == metrics.num_gt
    assert sum(part.num_predictions for part in metrics.by_range) == metrics.num_predictions


@FEW
@given(seeds)
def test_one_range_of_everything_is_the_whole(seed: int) -> None:
    metrics = evaluate_detections(random_frames(seed), DetectionMetricSettings(range_borders=(1e5,)))
    near = metrics.by_range[0]
    assert (near.mean_ap, near.errors, near.classes) == (metrics.mean_ap, metrics.errors, metrics.classes)


@FEW
@given(seeds)
def test_result_survives_json(seed: int) -> None:
    metrics = evaluate_detections(random_frames(seed))
    assert DetectionMetrics.model_validate_json(metrics.model_dump_json()) == metrics


def test_ground_truth_is_not_matched_across_frames() -> None:
    here, there = boxes([[10.0, 0.0]]), boxes([])
    metrics = evaluate_detections([frame(there, here, "0"), frame(here, truth(there), "1")])
    assert metrics.mean_ap == 0
