"""Ground truth over a bird's-eye-view picture: what is found, what is missed, what is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.evaluation import match_frame
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.reporting.bev_drawing import LineStyle, draw_boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_FOUND, _MISSED, _HIDDEN, _CROSS = "#ffffff", "#ff2020", "#8b949e", "#ff2020"
# Above the detections, which are wider: an outline that lies exactly on one still shows.
_FOUND_STYLE = LineStyle(width=0.8, pattern="-", zorder=4.5)
_MISSED_STYLE = LineStyle(width=1.6, pattern="--", zorder=4.5)
_HIDDEN_STYLE = LineStyle(width=1.0, pattern=":", zorder=3)


@dataclass(frozen=True, eq=False)
class GroundTruthLayer:
    """Ground truth and detections of one frame, each by whether it is matched."""

    boxes: Detections
    """M boxes of the ground truth."""
    found: npt.NDArray[np.bool_]
    """bool [M]: matched by a detection."""
    hidden: npt.NDArray[np.bool_]
    """bool [M]: not matched, and on no LiDAR point or of a class that the model does not have."""
    false_positives: Detections
    """Detections of nothing."""

    @classmethod
    def of(
        cls, detections: Detections, ground_truth: GroundTruth, match_distance: float
    ) -> GroundTruthLayer:
        """Match all detections by class.

        Raises:
            ParameterError: ``match_distance`` is not positive.
        """
        match = match_frame(detections, ground_truth, max_distance=match_distance)
        found = np.zeros(len(ground_truth), bool)
        found[match.matched[match.matched >= 0]] = True
        missed = match.missed & (ground_truth.num_points != 0)
        return cls(ground_truth.boxes, found, ~found & ~missed, detections.select(match.false_positives))

    def draw(self, axes: Axes) -> None:
        """Outlines of the ground truth and a cross on every detection of nothing."""
        for chosen, color, style, _ in self._kinds():
            boxes = self.boxes.select(chosen)
            draw_boxes(axes, boxes, [color] * len(boxes), style)
        crossed = self.false_positives.centers
        axes.plot(crossed[:, 0], crossed[:, 1], ls="", marker="x", ms=7, mew=1.6, color=_CROSS, zorder=4.6)

    def legend_handles(self) -> list[Line2D]:
        """One entry a kind; the one of ground truth that does not count only if there is any."""
        from matplotlib.lines import Line2D

        handles = [
            Line2D(
                [], [], color=color, ls=style.pattern, lw=style.width + 0.4, label=f"{name}: {chosen.sum()}"
            )
            for chosen, color, style, name in self._kinds()
            if chosen.any() or style is not _HIDDEN_STYLE
        ]
        label = f"detection of nothing: {len(self.false_positives)}"
        return [*handles, Line2D([], [], ls="", marker="x", ms=7, mew=1.6, color=_CROSS, label=label)]

    def _kinds(self) -> list[tuple[npt.NDArray[np.bool_], str, LineStyle, str]]:
        return [
            (self.found, _FOUND, _FOUND_STYLE, "ground truth, found"),
            (~self.found & ~self.hidden, _MISSED, _MISSED_STYLE, "ground truth, missed"),
            (self.hidden, _HIDDEN, _HIDDEN_STYLE, "ground truth, not counted"),
        ]
