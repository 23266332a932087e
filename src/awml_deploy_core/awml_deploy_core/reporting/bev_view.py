"""What part of the ground a bird's-eye-view picture shows, and where boxes lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation.footprint import box_corners as box_corners
from awml_deploy_core.points import PointColumns

_EXTENT_PERCENTILES = (0.3, 99.7)


@dataclass(frozen=True)
class BevView:
    """What a picture shows, in the frame of the cloud."""

    x: tuple[float, float] = (-60.0, 60.0)
    """Left and right edge [m]."""
    y: tuple[float, float] = (-60.0, 60.0)
    """Bottom and top edge [m]."""
    pixels: int = 1400
    """Width of the picture, margins included."""

    def holds(self, x: Any, y: Any) -> Any:
        """Whether points lie in the view, element by element."""
        return (self.x[0] < x) & (x < self.x[1]) & (self.y[0] < y) & (y < self.y[1])

    @classmethod
    def around(
        cls, columns: PointColumns, boxes: Sequence[Detections] = (), margin: float = 3.0
    ) -> BevView:
        """The view that holds nearly all points, every box and the sensor, no slimmer than 3 to 1."""
        corners = [box_corners(part).reshape(-1, 2) for part in boxes]
        edges = []
        for axis, column in enumerate((columns.x, columns.y)):
            values = np.asarray(column, np.float64)
            values = values[np.isfinite(values)]
            spread = np.percentile(values, _EXTENT_PERCENTILES) if len(values) else np.zeros(1)
            everything = np.concatenate([[-10.0, 10.0], spread, *(part[:, axis] for part in corners)])
            edges.append((float(everything.min() - margin), float(everything.max() + margin)))
        narrowest = max(high - low for low, high in edges) / 3
        x, y = (
            (low - lacking, high + lacking)
            for low, high in edges
            for lacking in [max(0.0, narrowest - (high - low)) / 2]
        )
        return cls(x, y)
