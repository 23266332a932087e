"""Autoware's detection class remapper: classes that change with the footprint of a box.

Algorithm of Autoware's ``DetectionClassRemapper`` (``mapClasses``), which the node applies last, to
the objects that survived suppression. Its parameters are three square matrices by Autoware label,
row-major: whether a label (row) may become another (column), and from and to which area [m^2].
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ArtifactError

FILE_NAME = "detection_class_remapper.param.yaml"

Label = Literal["UNKNOWN", "CAR", "TRUCK", "BUS", "TRAILER", "MOTORCYCLE", "BICYCLE", "PEDESTRIAN"]
LABELS: tuple[Label, ...] = get_args(Label)
"""By number."""
Area = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]

_ALLOW, _LOW, _HIGH = "allow_remapping_by_area_matrix", "min_area_matrix", "max_area_matrix"


class RemapRule(BaseModel):
    """A class that becomes another where the area length x width of its box is within limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Label
    """The detected class; `UNKNOWN` stands for every class without a label of its own."""
    target: Label
    """What it becomes. Of several targets the first in the order of Autoware's labels is taken."""
    min_area: Area
    """Least area [m^2], included."""
    max_area: Area
    """Greatest area [m^2], included."""

    @model_validator(mode="after")
    def _check(self) -> RemapRule:
        if self.min_area > self.max_area:
            raise ValueError(f"min_area {self.min_area:g} is above max_area {self.max_area:g}")
        return self


AUTOWARE_RULES = (
    RemapRule(source="CAR", target="TRUCK", min_area=12.1, max_area=36.0),
    RemapRule(source="CAR", target="TRAILER", min_area=36.0, max_area=999.999),
    RemapRule(source="TRUCK", target="TRAILER", min_area=36.0, max_area=999.999),
    RemapRule(source="BUS", target="TRAILER", min_area=36.0, max_area=999.999),
)
"""The rules of the file that Autoware installs with its models."""
_AUTOWARE_CLASSES = frozenset({"CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN"})


def default_rules(class_names: Sequence[str]) -> tuple[RemapRule, ...]:
    """Autoware's rules for a model with Autoware's classes and without TRAILER, none for others."""
    names = {name.upper() for name in class_names}
    return AUTOWARE_RULES if names >= _AUTOWARE_CLASSES and "TRAILER" not in names else ()


def parameters(rules: Sequence[RemapRule]) -> dict[str, list[int] | list[float]]:
    """The ROS parameters that hold the rules."""
    count = len(LABELS)
    allow, low, high = [0] * count**2, [0.0] * count**2, [0.0] * count**2
    for rule in rules:
        index = LABELS.index(rule.source) * count + LABELS.index(rule.target)
        allow[index], low[index], high[index] = 1, rule.min_area, rule.max_area
    return {_ALLOW: allow, _LOW: low, _HIGH: high}


def parse_parameters(content: Mapping[str, Any], path: Path) -> tuple[RemapRule, ...]:
    """The rules in the ROS parameters read from ``path``; those that no box can meet are left out.

    Raises:
        ArtifactError: A matrix is missing, has another size or holds something else than numbers.
    """
    _check(content, path)
    rules = []
    for index, allowed in enumerate(content[_ALLOW]):
        # Autoware reads what is not finite as the greatest number, in either matrix.
        low, high = (
            float(value) if math.isfinite(value) else sys.float_info.max
            for value in (content[_LOW][index], content[_HIGH][index])
        )
        if allowed and max(low, 0.0) <= high:
            source, target = divmod(index, len(LABELS))
            rules.append(
                RemapRule(
                    source=LABELS[source], target=LABELS[target], min_area=max(low, 0.0), max_area=high
                )
            )
    return tuple(rules)


def _check(content: Mapping[str, Any], path: Path) -> None:
    size = len(LABELS) ** 2
    problems = []
    for name in (_ALLOW, _LOW, _HIGH):
        matrix = content.get(name)
        if matrix is None:
            problems.append(f"{name}: missing")
        elif not isinstance(matrix, list) or len(matrix) != size:
            got = len(matrix) if isinstance(matrix, list) else type(matrix).__name__
            problems.append(f"{name}: got {got}, expected a list of {size} numbers")
        elif not all(_is_number(value) for value in matrix):
            problems.append(f"{name}: contains something else than numbers")
    if problems:
        raise ArtifactError(path, "is invalid", problems=problems)


def _is_number(value: object) -> bool:
    """Whether a ROS parameter can hold the value; an integer of any length is not one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return -(2**63) <= value < 2**63
    return isinstance(value, float)


class ClassRemapper:
    """Applies rules to the detections of one model.

    Args:
        class_names: The model's classes.
        rules: At most one for a pair of labels.
    """

    def __init__(self, class_names: Sequence[str], rules: Sequence[RemapRule]) -> None:
        places = {name.upper(): index for index, name in enumerate(class_names)}
        labels = [_label(name) for name in class_names]
        ordered = sorted(
            (rule for rule in rules if rule.source in labels), key=lambda rule: LABELS.index(rule.target)
        )
        names = list(class_names)
        for rule in ordered:
            if rule.target != rule.source and rule.target not in places:
                places[rule.target] = len(names)
                names.append(rule.target)
        self._class_names = tuple(names)
        self._steps = tuple(
            (index, index if rule.target == label else places[rule.target], rule.min_area, rule.max_area)
            for index, label in enumerate(labels)
            for rule in ordered
            if rule.source == label
        )

        self._least_area = min((low for _, _, low, _ in self._steps), default=0.0)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The model's classes, then those that a box can become, whatever a frame holds."""
        return self._class_names

    def remap(self, detections: Detections) -> Detections:
        """The same boxes and scores with the classes that follow from their footprints.

        The area is the float32 product of length and width. A class changes once: a CAR that
        becomes a TRUCK does not go on to become a TRAILER.
        """
        if not self._steps:
            return detections
        length, width = detections.sizes[:, 0].astype(np.float64), detections.sizes[:, 1]
        with np.errstate(over="ignore"):
            area = (length * width).astype(np.float32).astype(np.float64)
        labels = detections.labels.copy()
        # Few boxes are large enough for any rule.
        places = np.flatnonzero(area >= self._least_area)
        if len(places):
            labels[places] = self._decided(labels[places], area[places])
        return replace(detections, labels=labels, class_names=self._class_names)

    def _decided(
        self, labels: npt.NDArray[np.int32], area: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int32]:
        decided = labels.copy()
        undecided = np.ones(len(labels), np.bool_)
        for source, target, low, high in self._steps:
            found = undecided & (labels == source) & (area >= low) & (area <= high)
            decided[found] = target
            undecided &= ~found
        return decided


def _label(class_name: str) -> Label:
    for label in LABELS:
        if label == class_name.upper():
            return label
    return "UNKNOWN"
