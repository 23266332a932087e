"""What the detection metrics are computed with; the defaults are nuScenes' own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from awml_deploy_core.errors import ParameterError


@dataclass(frozen=True)
class DetectionMetricSettings:
    """Limits of the detection metrics.

    Source: ``nuscenes/eval/detection/configs/detection_cvpr_2019.json`` of nuscenes-devkit 1.2.

    Raises:
        ParameterError: A value makes no sense.
    """

    thresholds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    """Centres at least this far apart [m], seen from above, are no match."""
    tp_threshold: float = 2.0
    """The threshold [m] whose matches the true-positive errors are taken from."""
    min_recall: float = 0.1
    """Recall up to this does not count."""
    min_precision: float = 0.1
    """Precision up to this counts as none."""
    max_distance: Mapping[str, float] = field(default_factory=dict)
    """By class: boxes at least this far [m] from the cloud frame's origin are left out."""
    default_max_distance: float | None = None
    """The same for every other class; None leaves none out."""
    min_points: int = 1
    """Ground truth on fewer LiDAR points is left out; where the number is unknown, it is kept."""
    half_turn_classes: tuple[str, ...] = ()
    """Classes whose front cannot be told from their rear: heading counts modulo pi."""
    range_borders: tuple[float, ...] = (20.0, 40.0, 60.0)
    """Distances [m] that divide the results by range; the last range is open. Empty: no such results."""

    def __post_init__(self) -> None:
        self._check(
            "thresholds",
            self.thresholds,
            bool(self.thresholds) and _ascends_from_zero(self.thresholds),
            "positive, ascending distances",
        )
        self._check(
            "tp_threshold",
            self.tp_threshold,
            self.tp_threshold in self.thresholds,
            f"one of {self.thresholds}",
        )
        self._check("min_recall", self.min_recall, 0 <= self.min_recall < 0.99, "0 <= value < 0.99")
        self._check("min_precision", self.min_precision, 0 <= self.min_precision < 1, "0 <= value < 1")
        for name, limit in self.max_distance.items():
            self._check(f"max_distance[{name}]", limit, limit > 0, "a positive distance")
        default = self.default_max_distance
        self._check(
            "default_max_distance", default, default is None or default > 0, "a positive distance or None"
        )
        self._check(
            "range_borders",
            self.range_borders,
            _ascends_from_zero(self.range_borders),
            "positive, ascending distances",
        )

    def distance_limit(self, class_name: str) -> float:
        """Boxes of a class at least this far away [m] are left out; infinite if none are."""
        limit = self.max_distance.get(class_name, self.default_max_distance)
        return math.inf if limit is None else limit

    def ranges(self) -> Iterator[tuple[float, float]]:
        """Near (inside) and far (outside) end of every range [m], the last one infinite."""
        if self.range_borders:
            yield from zip((0.0, *self.range_borders), (*self.range_borders, math.inf), strict=True)

    @staticmethod
    def _check(name: str, value: object, holds: bool, expected: str) -> None:
        if not holds:
            raise ParameterError(
                f"detection metrics: {name}", "out of bounds", got=value, expected=expected
            )


def _ascends_from_zero(values: tuple[float, ...]) -> bool:
    return all(low < high < math.inf for low, high in zip((0.0, *values), values, strict=False))
