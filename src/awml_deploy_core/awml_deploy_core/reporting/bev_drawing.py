"""The layers of a bird's-eye-view picture: frame and rings, points, boxes, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.points import PointColumns
from awml_deploy_core.reporting.bev_view import BevView, box_corners

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BACKGROUND = "#0d1117"
INK = "#c9d1d9"
_FAINT = "#3d4651"
_HEIGHT_COLORS = "viridis"
# Where on the height scale colours begin: below, they drown in the background.
_DARKEST = 0.22
_HEIGHT_PERCENTILES = (2.0, 98.0)
_MAX_SCORE_LABELS = 60
_CHARACTER = 0.62 / 72
"""Width of a character [inch] for a point of font size."""
_SMALLEST_TITLE = 7.0


@dataclass(frozen=True)
class LineStyle:
    """How outlines are drawn."""

    width: float
    """In points."""
    pattern: str
    """One of matplotlib's: ``-``, ``--``, ``:``."""
    zorder: float
    """What is drawn later covers what has less."""


def fitting_size(text: str, width: float, largest: float) -> float:
    """Font size [pt] at which a line of text is at most ``width`` [inch] wide, but always readable."""
    return max(_SMALLEST_TITLE, min(largest, width / (_CHARACTER * max(len(text), 1))))


def draw_frame(axes: Axes, view: BevView) -> None:
    """Axes in metres, rings of equal distance and the sensor's heading."""
    axes.set_facecolor(BACKGROUND)
    axes.set_xlim(*view.x)
    axes.set_ylim(*view.y)
    axes.set_xlabel("x [m]", color=INK)
    axes.set_ylabel("y [m]", color=INK)
    axes.tick_params(colors=INK)
    for spine in axes.spines.values():
        spine.set_color(_FAINT)
    _draw_rings(axes, view)
    length = 0.04 * max(view.x[1] - view.x[0], view.y[1] - view.y[0])
    axes.annotate(
        "", (length, 0.0), (0.0, 0.0), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.6}, zorder=6
    )


def _draw_rings(axes: Axes, view: BevView) -> None:
    from matplotlib.patches import Circle

    farthest = float(np.abs([*view.x, *view.y]).max())
    step = next((s for s in (5.0, 10.0, 20.0, 50.0) if farthest / s <= 6), 100.0)
    for radius in np.arange(step, 1.5 * farthest, step):
        axes.add_patch(Circle((0.0, 0.0), radius, fill=False, ec=_FAINT, lw=0.8, zorder=1))
        for angle in np.radians([45.0, 135.0, -45.0, -135.0, 5.0, 175.0, 85.0, -85.0]):
            x, y = radius * np.cos(angle), radius * np.sin(angle)
            if view.holds(x, y):
                axes.text(x, y, f"{radius:g} m", fontsize=9, alpha=0.8, zorder=6, clip_on=True)
                break


def draw_points(figure: Figure, axes: Axes, columns: PointColumns, view: BevView) -> None:
    """Points coloured by height, and the scale of it beside the drawing."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    points = np.stack([np.asarray(column, np.float32) for column in (columns.x, columns.y, columns.z)])
    points = points[:, np.isfinite(points).all(axis=0)]
    points = points[:, view.holds(points[0], points[1])]
    if not points.shape[1]:
        return
    low, high = np.percentile(points[2], _HEIGHT_PERCENTILES)
    # Highest last, so that objects are not hidden by the ground below them.
    points = points[:, np.argsort(points[2], kind="stable")]
    colors = matplotlib.colormaps[_HEIGHT_COLORS](np.linspace(_DARKEST, 1.0, 256))
    drawn = axes.scatter(
        points[0],
        points[1],
        c=points[2],
        s=1.6,
        cmap=ListedColormap(colors),
        vmin=float(low),
        vmax=float(max(high, low + 1e-3)),
        linewidths=0,
        zorder=2,
    )
    place = axes.get_position()
    inch = 1 / figure.get_figwidth()
    scale = figure.add_axes((place.x1 + 0.2 * inch, place.y0, 0.18 * inch, place.height))
    figure.colorbar(drawn, cax=scale).set_label("z [m]", color=INK)
    scale.tick_params(colors=INK)


def draw_boxes(axes: Axes, boxes: Detections, colors: Sequence[str], style: LineStyle) -> None:
    """Outlines of boxes from above and a line ahead of each."""
    from matplotlib.collections import LineCollection

    corners = box_corners(boxes)
    outlines = np.concatenate([corners, corners[:, :1]], axis=1)
    front = (corners[:, 0] + corners[:, 3]) / 2
    ahead = np.stack([np.cos(boxes.yaws), np.sin(boxes.yaws)], axis=1)
    headings = np.stack([boxes.centers[:, :2].astype(np.float64), front + 0.7 * ahead], axis=1)
    for segments in (outlines, headings):
        axes.add_collection(
            LineCollection(
                list(segments),
                colors=list(colors),
                linewidths=style.width,
                linestyles=style.pattern,
                zorder=style.zorder,
            )
        )


def draw_scores(axes: Axes, boxes: Detections, view: BevView, colors: Sequence[str]) -> None:
    """Scores of the best boxes; more would cover the picture."""
    tops = box_corners(boxes).max(axis=1)
    for (x, y), score, color in list(zip(tops, boxes.scores, colors, strict=True))[:_MAX_SCORE_LABELS]:
        if view.holds(x, y):
            axes.text(x, y, f"{score:.2f}", color=color, fontsize=8, zorder=5, clip_on=True)
