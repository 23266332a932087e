"""Two replays of a bag, cloud by cloud and box by box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.verification import BoxLimits
from awml_deploy_core.verification.boxes import LIMITED
from awml_deploy_core.verification.matching import match_boxes, nearest_candidate, pair_differences
from awml_deploy_ros.counters import DropReason
from awml_deploy_ros.replay.frame_file import StoredCloud

_TIMING = frozenset(
    reason.value
    for reason in (
        DropReason.SUPERSEDED,
        DropReason.LOST_IN_TRANSPORT,
        DropReason.LATE_TF,
        DropReason.DEACTIVATED,
    )
)

GONE, APPEARED, CHANGED = "gone", "new", "changed"


@dataclass(frozen=True)
class BoxChange:
    """One box that is not as it was."""

    sample: str
    kind: str
    """:data:`GONE`, :data:`APPEARED` or :data:`CHANGED`."""
    box: Mapping[str, Any]
    """As it was, or as it is if it is new."""
    detail: str
    """What differs, or what is there instead."""

    def __str__(self) -> str:
        x, y, _ = self.box["center"]
        head = f"{self.sample}: {self.box['class']} {self.box['score']:.2f} at ({x:.1f}, {y:.1f}) m"
        return f"{head} is {self.kind}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True, eq=False)
class RegressionDiff:
    """Two replays of a bag, cloud by cloud."""

    compared: int = 0
    """Frames of both with the same sweeps."""
    identical: int = 0
    """Of these, frames equal bit by bit."""
    matched: int = 0
    """Boxes that are within the limits."""
    changes: tuple[BoxChange, ...] = ()
    fates: tuple[str, ...] = ()
    """Clouds that were processed in one of the two only, in words."""
    other_input: tuple[str, ...] = ()
    """Frames with other past sweeps, so that their boxes may differ."""
    by_timing: tuple[str, ...] = ()
    """Clouds that one of the two had no time for, in words."""
    worst: Mapping[str, float] = field(default_factory=dict)
    """Largest difference of matched boxes by property."""


def compare_replays(
    before: Sequence[StoredCloud], after: Sequence[StoredCloud], limits: BoxLimits
) -> RegressionDiff:
    """Match the boxes of every cloud that both replays have by its name.

    Args:
        before: Of the earlier replay.
        after: Of this one.
        limits: What two boxes that are the same may differ by.
    """
    earlier = {cloud.sample_id: cloud for cloud in before}
    names = {cloud.sample_id for cloud in after}
    fates = [f"{cloud.sample_id} is not in this bag" for cloud in before if cloud.sample_id not in names]
    other_input: list[str] = []
    by_timing: list[str] = []
    changes: list[BoxChange] = []
    worst: dict[str, float] = {}
    compared = identical = matched = 0
    for cloud in after:
        old = earlier.get(cloud.sample_id)
        if old is None or cloud.boxes is None or old.boxes is None:
            if old is None:
                fates.append(f"{cloud.sample_id} was not there and is {cloud.fate}")
            elif is_timing(cloud.fate) or is_timing(old.fate):
                by_timing.append(f"{cloud.sample_id} was {old.fate} and is {cloud.fate}")
            elif cloud.fate != old.fate:
                fates.append(f"{cloud.sample_id} was {old.fate} and is {cloud.fate}")
            continue
        if cloud.past_ns != old.past_ns:
            other_input.append(cloud.sample_id)
            continue
        compared += 1
        if _same_bits(old.boxes, cloud.boxes):
            identical += 1
            matched += len(cloud.boxes)
            continue
        found = _frame_changes(cloud.sample_id, old.boxes, cloud.boxes, limits, worst)
        changes += found.changes
        matched += found.matched
    return RegressionDiff(
        compared,
        identical,
        matched,
        tuple(changes),
        tuple(fates),
        tuple(other_input),
        tuple(by_timing),
        worst,
    )


def is_timing(fate: str) -> bool:
    """Whether a fate is that of a machine that was too slow, not of the cloud."""
    return all(reason in _TIMING for reason in fate.split(" or "))


def _same_bits(one: Detections, two: Detections) -> bool:
    names = ("centers", "sizes", "yaws", "velocities", "scores", "labels")
    return one.class_names == two.class_names and all(
        getattr(one, name).tobytes() == getattr(two, name).tobytes() for name in names
    )


@dataclass(frozen=True)
class _FrameChanges:
    matched: int
    changes: tuple[BoxChange, ...]


def _frame_changes(
    sample: str, before: Detections, after: Detections, limits: BoxLimits, worst: dict[str, float]
) -> _FrameChanges:
    names = tuple(dict.fromkeys((*before.class_names, *after.class_names)))
    before, after = _in_classes(before, names), _in_classes(after, names)
    matching = match_boxes(before, after, limits)
    rows, columns = (np.array([pair[side] for pair in matching.pairs], np.int64) for side in (0, 1))
    figures = pair_differences(before.select(rows), after.select(columns))
    changes: list[BoxChange] = []
    for k, (row, _) in enumerate(matching.pairs):
        broken = [
            f"{name} by {figures[name][k]:.3g}"
            for name in LIMITED
            if not figures[name][k] <= getattr(limits, name)
        ]
        if figures["heading"][k] > np.pi / 2:
            broken.append("it heads the other way")
        if broken:
            changes.append(BoxChange(sample, CHANGED, _record(before, row), ", ".join(broken)))
        else:
            for name in LIMITED:
                worst[name] = max(worst.get(name, 0.0), float(figures[name][k]))
    taken = tuple(frozenset(pair[side] for pair in matching.pairs) for side in (0, 1))
    changes += _lone(sample, GONE, before, matching.lone_reference, (after, taken[1]), limits)
    changes += _lone(sample, APPEARED, after, matching.lone_test, (before, taken[0]), limits)
    unchanged = len(matching.pairs) - sum(change.kind == CHANGED for change in changes)
    return _FrameChanges(unchanged, tuple(changes))


def _lone(
    sample: str,
    kind: str,
    boxes: Detections,
    lone: Sequence[int],
    others: tuple[Detections, frozenset[int]],
    limits: BoxLimits,
) -> Iterator[BoxChange]:
    for index in lone:
        found = nearest_candidate(boxes, index, others[0], others[1], limits)
        near = found["nearest"]
        words = (
            found["why"]
            if near is None
            else f"nearest is {near['class']} {near['score']:.2f}, {found['why']}"
        )
        yield BoxChange(sample, kind, _record(boxes, index), words)


def _record(boxes: Detections, index: int) -> dict[str, Any]:
    found: dict[str, Any] = boxes.select(np.array([index])).to_records()[0]
    return found


def _in_classes(boxes: Detections, names: tuple[str, ...]) -> Detections:
    """The same boxes with labels in another list of classes, which has all of theirs."""
    table = np.array([names.index(name) for name in boxes.class_names], np.int32)
    labels = table[boxes.labels] if len(boxes) else boxes.labels
    return Detections(
        boxes.centers,
        boxes.sizes,
        boxes.yaws,
        boxes.velocities,
        boxes.scores,
        labels,
        names,
        boxes.has_velocity,
    )
