"""Bird's-eye-view picture of one cloud with boxes over it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import MissingDependencyError
from awml_deploy_core.files import write_bytes
from awml_deploy_core.points import PointColumns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BACKGROUND = "#0d1117"
_INK = "#c9d1d9"
_FAINT = "#3d4651"
_REFERENCE = "#ffffff"
# Bright on the dark background; repeats beyond its length.
_CLASS_COLORS = (
    *("#ffb000", "#ff6a3d", "#f43f8e", "#4ade80", "#38bdf8"),
    *("#c084fc", "#fff3a3", "#a8d8b9", "#d08c60", "#9aa5ff"),
)
_HEIGHT_COLORS = "viridis"
# Where on the height scale colours begin: below, they drown in the background.
_DARKEST = 0.22
_HEIGHT_PERCENTILES = (2.0, 98.0)
_EXTENT_PERCENTILES = (0.3, 99.7)
_MAX_SCORE_LABELS = 60
_LEGEND_COLUMNS = 7
_DPI = 100
# Inches of the picture around the drawing.
_LEFT, _RIGHT, _BOTTOM, _TOP, _LEGEND_LINE = 0.75, 1.2, 0.65, 0.5, 0.3


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


def box_corners(boxes: Detections) -> npt.NDArray[np.float64]:
    """Corners of every box seen from above.

    Returns:
        float64 [N, 4, 2]: front left, rear left, rear right, front right [m].
    """
    half = boxes.sizes[:, None, :2].astype(np.float64) / 2
    local = half * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    cos, sin = np.cos(boxes.yaws)[:, None], np.sin(boxes.yaws)[:, None]
    rotated = np.stack(
        [cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1]], axis=-1
    )
    found: npt.NDArray[np.float64] = rotated + boxes.centers[:, None, :2]
    return found


def render_bev(
    columns: PointColumns,
    detections: Detections,
    *,
    reference: Detections | None = None,
    reference_name: str = "ground truth",
    title: str = "",
    view: BevView | None = None,
) -> bytes:
    """Draw points by height, boxes by class with heading and score, and optional reference boxes.

    Args:
        columns: The cloud; non-finite points are left out.
        detections: Boxes in the frame of the cloud, drawn solid.
        reference: Other boxes to compare with (ground truth, another backend), dashed and white.
        reference_name: What the reference is, for the legend.
        title: One line above the picture.
        view: The part to draw; by default everything.

    Returns:
        A PNG file's bytes, the same for the same input and matplotlib version.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "matplotlib",
            "not installed",
            expected="matplotlib to draw pictures",
            hint='pip install "matplotlib>=3.7"',
        )
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    view = view or BevView.around(columns, [detections] if reference is None else [detections, reference])
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 11.0, "text.color": _INK}):
        figure = Figure(dpi=_DPI, facecolor=_BACKGROUND)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        legend_lines = _draw_legend(axes, detections, reference, reference_name)
        _lay_out(figure, axes, view, legend_lines)
        _draw_frame(axes, view)
        figure.text(_LEFT / figure.get_figwidth(), 1 - 0.36 / figure.get_figheight(), title, fontsize=14)
        _draw_points(figure, axes, columns, view)
        if reference is not None:
            _draw_boxes(axes, reference, [_REFERENCE] * len(reference), dashed=True)
        colors = [_class_color(int(label)) for label in detections.labels]
        _draw_boxes(axes, detections, colors, dashed=False)
        _draw_scores(axes, detections, view, colors)
        output = io.BytesIO()
        figure.savefig(output, format="png", facecolor=_BACKGROUND, metadata={"Software": None})
    return output.getvalue()


def write_bev(path: Path, columns: PointColumns, detections: Detections, **options: Any) -> None:
    """Write :func:`render_bev`'s picture atomically; ``options`` are its keyword arguments.

    Raises:
        ArtifactError: The file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    write_bytes(path, render_bev(columns, detections, **options))


def _class_color(label: int) -> str:
    return _CLASS_COLORS[label % len(_CLASS_COLORS)]


def _lay_out(figure: Figure, axes: Axes, view: BevView, legend_lines: int) -> None:
    """Size the figure so that both axes have one scale and no empty bands remain."""
    width = view.pixels / _DPI - _LEFT - _RIGHT
    height = width * (view.y[1] - view.y[0]) / (view.x[1] - view.x[0])
    total = _LEFT + width + _RIGHT, _BOTTOM + height + _TOP + _LEGEND_LINE * legend_lines
    figure.set_size_inches(*total)
    axes.set_position((_LEFT / total[0], _BOTTOM / total[1], width / total[0], height / total[1]))


def _draw_frame(axes: Axes, view: BevView) -> None:
    axes.set_facecolor(_BACKGROUND)
    axes.set_xlim(*view.x)
    axes.set_ylim(*view.y)
    axes.set_xlabel("x [m]", color=_INK)
    axes.set_ylabel("y [m]", color=_INK)
    axes.tick_params(colors=_INK)
    for spine in axes.spines.values():
        spine.set_color(_FAINT)
    _draw_rings(axes, view)
    length = 0.04 * max(view.x[1] - view.x[0], view.y[1] - view.y[0])
    axes.annotate(
        "", (length, 0.0), (0.0, 0.0), arrowprops={"arrowstyle": "-|>", "color": _INK, "lw": 1.6}, zorder=6
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


def _draw_points(figure: Figure, axes: Axes, columns: PointColumns, view: BevView) -> None:
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
    figure.colorbar(drawn, cax=scale).set_label("z [m]", color=_INK)
    scale.tick_params(colors=_INK)


def _draw_boxes(axes: Axes, boxes: Detections, colors: Sequence[str], *, dashed: bool) -> None:
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
                linewidths=1.3 if dashed else 1.8,
                linestyles="--" if dashed else "-",
                zorder=3 if dashed else 4,
            )
        )


def _draw_scores(axes: Axes, boxes: Detections, view: BevView, colors: Sequence[str]) -> None:
    """Scores of the best boxes; more would cover the picture."""
    tops = box_corners(boxes).max(axis=1)
    for (x, y), score, color in list(zip(tops, boxes.scores, colors, strict=True))[:_MAX_SCORE_LABELS]:
        if view.holds(x, y):
            axes.text(x, y, f"{score:.2f}", color=color, fontsize=8, zorder=5, clip_on=True)


def _draw_legend(axes: Axes, boxes: Detections, reference: Detections | None, reference_name: str) -> int:
    """Legend above the drawing; returns its number of lines."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_class_color(label), lw=2.5, label=f"{name}: {count}")
        for label, (name, count) in enumerate(boxes.count_by_class().items())
        if count
    ]
    if not handles:
        handles.append(Line2D([], [], ls="", label="no detections"))
    if reference is not None:
        handles.append(
            Line2D([], [], color=_REFERENCE, ls="--", lw=1.5, label=f"{reference_name}: {len(reference)}")
        )
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2,
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        labelcolor=_INK,
    )
    return -(-len(handles) // _LEGEND_COLUMNS)
