"""Autoware's class labels (autoware_perception_msgs/ObjectClassification) by class name."""

from __future__ import annotations

UNKNOWN = 0
LABELS = {
    "UNKNOWN": UNKNOWN,
    "CAR": 1,
    "TRUCK": 2,
    "BUS": 3,
    "TRAILER": 4,
    "MOTORCYCLE": 5,
    "BICYCLE": 6,
    "PEDESTRIAN": 7,
    "ANIMAL": 8,
    "HAZARD": 9,
    "OVER_DRIVABLE": 10,
    "UNDER_DRIVABLE": 11,
}
CAR_LIKE = frozenset(LABELS[name] for name in ("CAR", "TRUCK", "BUS", "TRAILER"))


def autoware_label(class_name: str) -> int:
    """Label of a class, whatever its case; UNKNOWN for a class that Autoware does not have."""
    return LABELS.get(class_name.upper(), UNKNOWN)


def is_car_like(label: int) -> bool:
    """Whether the heading of such an object is known up to its sign only."""
    return label in CAR_LIKE
