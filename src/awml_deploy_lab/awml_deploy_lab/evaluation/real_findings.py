"""What a model found of the labels of real scenes, counted by data set, class, score and distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation import match_frame
from awml_deploy_core.evaluation.frames import pool, sensor_distances
from awml_deploy_lab.evaluation.real_scenes import RealScene

MAX_RANGE = 40.0
"""Of the labels and detections that count, from ``base_link`` [m]."""
RANGES = ((0.0, 20.0), (20.0, MAX_RANGE))
DISTANCES = (1.5, 2.0)
"""Between the centres of a detection and of what it finds, seen from above [m]."""
CLASSES = ("CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN")
HEADING_TOLERANCE = np.pi / 4


@dataclass(frozen=True, eq=False)
class Finding:
    """The detections of one scene, with scores from the lowest of interest."""

    scene: RealScene
    detections: Detections


@dataclass(frozen=True)
class Errors:
    """Medians over what was found; differences are detection minus label."""

    count: int
    heading: float
    """Share with a heading within 45 degrees."""
    heading_modulo_pi: float
    """The same if the front is not told from the rear."""
    size: tuple[float, float, float]
    """Length, width, height [m]."""
    size_absolute: tuple[float, float, float]
    away: float
    """How much farther from ``base_link`` the centre is [m]."""
    up: float
    """How much higher the centre is [m]."""

    @classmethod
    def of(cls, found: Detections, labels: Detections) -> Errors | None:
        """Of N boxes and their N labels; None if there are none."""
        if not len(found):
            return None
        turn = (found.yaws - labels.yaws).astype(np.float64)
        sizes = found.sizes - labels.sizes
        offset = found.centers - labels.centers
        outward = labels.centers[:, :2] / np.linalg.norm(labels.centers[:, :2], axis=1, keepdims=True)
        return cls(
            len(found),
            _share(np.abs(_wrapped(turn, 2 * np.pi)) < HEADING_TOLERANCE),
            _share(np.abs(_wrapped(turn, np.pi)) < HEADING_TOLERANCE),
            _medians(sizes),
            _medians(np.abs(sizes)),
            float(np.median((offset[:, :2] * outward).sum(axis=1))),
            float(np.median(offset[:, 2])),
        )


@dataclass(frozen=True)
class Figures:
    """One class of one data set at one score threshold and one distance."""

    dataset: str
    class_name: str
    min_score: float
    max_distance: float
    labelled: int
    """Labels that count, within 40 m."""
    found: int
    """By a detection of the same class."""
    found_as_any_class: int
    labelled_by_range: tuple[int, ...]
    found_by_range: tuple[int, ...]
    false_positives: int
    """Detections of this class within 40 m of nothing of this class, where everything is labelled."""
    on_another_class: int
    """Those of them that are on a label of another class."""
    not_judged: int
    """Detections of this class within 40 m without a label where not everything is labelled."""
    errors: Errors | None

    @property
    def recall(self) -> float | None:
        return self.found / self.labelled if self.labelled else None

    @property
    def precision(self) -> float | None:
        """Detections that find a label that does not count are left out of it."""
        total = self.found + self.false_positives
        return self.found / total if total else None


def figures(findings: Sequence[Finding], scores: Sequence[float]) -> list[Figures]:
    """Figures of every data set and class with labels or detections, at every score and distance."""
    datasets = dict.fromkeys(finding.scene.dataset for finding in findings)
    results = []
    for dataset, score, distance in product(datasets, scores, DISTANCES):
        frames = [_Frame.of(part, score, distance) for part in findings if part.scene.dataset == dataset]
        results += [_figures(frames, dataset, name, score, distance) for name in CLASSES]
    return [entry for entry in results if entry.labelled or entry.false_positives or entry.not_judged]


def label_records(finding: Finding) -> list[dict[str, Any]]:
    """One JSON-ready mapping a label: what it is, and what found it within 2 m at the lowest score."""
    labels, found = finding.scene.truth, finding.detections
    matched = {
        by_class: match_frame(found, labels, max_distance=DISTANCES[-1], by_class=by_class).matched
        for by_class in (True, False)
    }
    records = labels.boxes.to_records()
    for index, record in enumerate(records):
        del record["score"], record["velocity"]
        record["distance"] = float(sensor_distances(labels.boxes)[index])
        record["num_points"] = int(labels.num_points[index])
        record["counted"] = bool(finding.scene.counted[index]) and record["distance"] < MAX_RANGE
        record.update(finding.scene.facts[index])
        for by_class, key in ((True, "found"), (False, "found_as_any_class")):
            hit = np.flatnonzero(matched[by_class] == index)
            record[key] = found.select(hit).to_records()[0] if len(hit) else None
    return records


@dataclass(frozen=True, eq=False)
class _Frame:
    """One finding, matched."""

    finding: Finding
    matched: npt.NDArray[np.int64]
    """int64 [N]: label of the same class, or -1."""
    matched_any: npt.NDArray[np.int64]
    """int64 [N]: label of any class, or -1."""
    false: npt.NDArray[np.bool_]
    not_judged: npt.NDArray[np.bool_]
    counted: npt.NDArray[np.bool_]
    """bool [M]: labels that count, within range."""

    @classmethod
    def of(cls, finding: Finding, score: float, distance: float) -> _Frame:
        scene, found = finding.scene, finding.detections
        same, other = (
            match_frame(found, scene.truth, max_distance=distance, min_score=score, by_class=by_class)
            for by_class in (True, False)
        )
        free = (found.scores >= score) & (same.matched < 0) & (sensor_distances(found) < MAX_RANGE)
        judged = scene.view.judges(found)
        return cls(
            finding,
            same.matched,
            other.matched,
            free & judged,
            free & ~judged,
            scene.counted & (sensor_distances(scene.truth.boxes) < MAX_RANGE),
        )

    def found(self, matched: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """bool [M]: labels that are matched."""
        hit = np.zeros(len(self.counted), bool)
        hit[matched[matched >= 0]] = True
        return hit

    def pairs(self, chosen: npt.NDArray[np.bool_]) -> tuple[Detections, Detections]:
        """Detections of the same class and their labels, of those labels that are chosen."""
        rows = np.flatnonzero(self.matched >= 0)
        rows = rows[chosen[self.matched[rows]]]
        return self.finding.detections.select(rows), self.finding.scene.truth.boxes.select(
            self.matched[rows]
        )


def _figures(frames: Sequence[_Frame], dataset: str, name: str, score: float, distance: float) -> Figures:
    labelled = [frame.counted & _of_class(frame.finding.scene.truth.boxes, name) for frame in frames]
    found = [part & frame.found(frame.matched) for part, frame in zip(labelled, frames, strict=True)]
    anyhow = [part & frame.found(frame.matched_any) for part, frame in zip(labelled, frames, strict=True)]
    own = [_of_class(frame.finding.detections, name) for frame in frames]
    false = [part & frame.false for part, frame in zip(own, frames, strict=True)]
    ranges = np.concatenate([sensor_distances(frame.finding.scene.truth.boxes) for frame in frames])
    all_labelled, all_found = np.concatenate(labelled), np.concatenate(found)
    within = [(near <= ranges) & (ranges < far) for near, far in RANGES]
    pairs = [frame.pairs(part) for frame, part in zip(frames, found, strict=True)]
    return Figures(
        dataset=dataset,
        class_name=name,
        min_score=score,
        max_distance=distance,
        labelled=int(all_labelled.sum()),
        found=int(all_found.sum()),
        found_as_any_class=int(np.concatenate(anyhow).sum()),
        labelled_by_range=tuple(int((all_labelled & part).sum()) for part in within),
        found_by_range=tuple(int((all_found & part).sum()) for part in within),
        false_positives=int(np.concatenate(false).sum()),
        on_another_class=sum(
            int((part & (frame.matched_any >= 0)).sum()) for part, frame in zip(false, frames, strict=True)
        ),
        not_judged=sum(
            int((part & frame.not_judged).sum()) for part, frame in zip(own, frames, strict=True)
        ),
        errors=Errors.of(pool([one for one, _ in pairs]).boxes, pool([two for _, two in pairs]).boxes),
    )


def _of_class(boxes: Detections, name: str) -> npt.NDArray[np.bool_]:
    if name not in boxes.class_names:
        return np.zeros(len(boxes), bool)
    chosen: npt.NDArray[np.bool_] = boxes.labels == boxes.class_names.index(name)
    return chosen


def _wrapped(angles: npt.NDArray[np.float64], turn: float) -> npt.NDArray[np.float64]:
    """Angles brought to within half a ``turn`` of 0."""
    return angles - turn * np.round(angles / turn)


def _share(mask: npt.NDArray[np.bool_]) -> float:
    return float(mask.mean())


def _medians(values: npt.NDArray[np.float32]) -> tuple[float, float, float]:
    length, width, height = (float(value) for value in np.median(values, axis=0))
    return length, width, height
