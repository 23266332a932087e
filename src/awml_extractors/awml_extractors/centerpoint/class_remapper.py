"""Autoware's detection class remapper: labels changed by the area of a box.

Three square matrices by Autoware label, row-major: whether a label (row) may become another
(column), and from and to which area [m^2] of the footprint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from awml_deploy_core.errors import ArtifactError

FILE_NAME = "detection_class_remapper.param.yaml"
LABELS = ("UNKNOWN", "CAR", "TRUCK", "BUS", "TRAILER", "MOTORCYCLE", "BICYCLE", "PEDESTRIAN")

_RULES: tuple[tuple[str, str, float, float], ...] = (
    ("CAR", "TRUCK", 12.1, 36.0),
    ("CAR", "TRAILER", 36.0, 999.999),
    ("TRUCK", "TRAILER", 36.0, 999.999),
    ("BUS", "TRAILER", 36.0, 999.999),
)
"""From label, to label, least and greatest area [m^2]; the last limit stands for none."""
_MATRICES = ("allow_remapping_by_area_matrix", "min_area_matrix", "max_area_matrix")


def parameters() -> dict[str, list[int] | list[float]]:
    """The ROS parameters of Autoware's default rules."""
    count = len(LABELS)
    allow, low, high = [0] * count**2, [0.0] * count**2, [0.0] * count**2
    for source, target, least, greatest in _RULES:
        index = LABELS.index(source) * count + LABELS.index(target)
        allow[index], low[index], high[index] = 1, least, greatest
    return dict(zip(_MATRICES, (allow, low, high), strict=True))


def check(content: Mapping[str, Any], path: Path) -> None:
    """Check the parameters read from ``path``.

    Raises:
        ArtifactError: A matrix is missing, has another size or holds something else than numbers.
    """
    size = len(LABELS) ** 2
    problems = []
    for name in _MATRICES:
        matrix = content.get(name)
        if matrix is None:
            problems.append(f"{name}: missing")
        elif not isinstance(matrix, list) or len(matrix) != size:
            got = len(matrix) if isinstance(matrix, list) else type(matrix).__name__
            problems.append(f"{name}: got {got}, expected a list of {size} numbers")
        elif any(isinstance(value, bool) or not isinstance(value, int | float) for value in matrix):
            problems.append(f"{name}: contains something else than numbers")
    if problems:
        raise ArtifactError(path, "is invalid", problems=problems)
