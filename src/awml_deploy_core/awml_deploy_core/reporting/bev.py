"""Bird's-eye-view picture of one cloud with boxes over it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.detections import Detections
from awml_deploy_core.files import write_bytes
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.packages import require_package
from awml_deploy_core.points import PointColumns
from awml_deploy_core.reporting.bev_drawing import (
    BACKGROUND,
    INK,
    LineStyle,
    draw_boxes,
    draw_frame,
    draw_points,
    draw_scores,
    fitting_size,
)
from awml_deploy_core.reporting.bev_ground_truth import GroundTruthLayer
from awml_deploy_core.reporting.bev_view import BevView, box_corners

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["BevView", "box_corners", "render_bev", "write_bev"]

_REFERENCE = "#ffffff"
_REFERENCE_STYLE = LineStyle(width=1.3, pattern="--", zorder=3)
_DETECTION_STYLE = LineStyle(width=1.8, pattern="-", zorder=4)
# Bright on the dark background; repeats beyond its length.
_CLASS_COLORS = (
    *("#ffb000", "#ff6a3d", "#f43f8e", "#4ade80", "#38bdf8"),
    *("#c084fc", "#fff3a3", "#a8d8b9", "#d08c60", "#9aa5ff"),
)
_LEGEND_COLUMNS = 7
_DPI = 100
# Inches of the picture around the drawing.
_LEFT, _RIGHT, _BOTTOM, _TOP, _LEGEND_LINE = 0.75, 1.2, 0.65, 0.5, 0.3


def render_bev(
    columns: PointColumns,
    detections: Detections,
    *,
    reference: Detections | None = None,
    reference_name: str = "reference",
    ground_truth: GroundTruth | None = None,
    match_distance: float = 2.0,
    title: str = "",
    view: BevView | None = None,
) -> bytes:
    """Draw points by height, boxes by class with heading and score, and optionally what to compare with.

    Args:
        columns: The cloud; non-finite points are left out.
        detections: Boxes in the frame of the cloud, drawn solid.
        reference: Other boxes to compare with (of another backend, say), dashed and white.
        reference_name: What the reference is, for the legend.
        ground_truth: What is there: thin white outlines where it is found by one of ``detections``, red
            and dashed where it is missed, grey and dotted where nobody could see it. Detections of
            nothing get a cross.
        match_distance: What is found is nearer than this [m] to a detection of its class.
        title: One line above the picture.
        view: The part to draw; by default everything.

    Returns:
        A PNG file's bytes, the same for the same input and matplotlib version.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ParameterError: ``match_distance`` is not positive.
    """
    require_package("matplotlib", "to draw pictures", "3.7")
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    truth = None if ground_truth is None else GroundTruthLayer.of(detections, ground_truth, match_distance)
    compared = [*([] if reference is None else [reference]), *([] if truth is None else [truth.boxes])]
    view = view or BevView.around(columns, [detections, *compared])
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 11.0, "text.color": INK}):
        figure = Figure(dpi=_DPI, facecolor=BACKGROUND)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        compared_handles = [] if truth is None else truth.legend_handles()
        if reference is not None:
            compared_handles.append(_reference_handle(f"{reference_name}: {len(reference)}"))
        # From the bottom up.
        legends = [part for part in (compared_handles, _class_handles(detections)) if part]
        _lay_out(figure, axes, view, sum(map(_legend_lines, legends)))
        _draw_legends(figure, axes, legends)
        draw_frame(axes, view)
        size = fitting_size(title, figure.get_figwidth() - _LEFT, 14.0)
        figure.text(_LEFT / figure.get_figwidth(), 1 - 0.36 / figure.get_figheight(), title, fontsize=size)
        draw_points(figure, axes, columns, view)
        if reference is not None:
            draw_boxes(axes, reference, [_REFERENCE] * len(reference), _REFERENCE_STYLE)
        colors = [_class_color(int(label)) for label in detections.labels]
        draw_boxes(axes, detections, colors, _DETECTION_STYLE)
        if truth is not None:
            truth.draw(axes)
        draw_scores(axes, detections, view, colors)
        output = io.BytesIO()
        figure.savefig(output, format="png", facecolor=BACKGROUND, metadata={"Software": None})
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


def _class_handles(boxes: Detections) -> list[Line2D]:
    """Legend of the classes that occur."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_class_color(label), lw=2.5, label=f"{name}: {count}")
        for label, (name, count) in enumerate(boxes.count_by_class().items())
        if count
    ]
    return handles or [Line2D([], [], ls="", label="no detections")]


def _reference_handle(label: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=_REFERENCE, ls=_REFERENCE_STYLE.pattern, lw=1.5, label=label)


def _legend_lines(handles: Sequence[Line2D]) -> int:
    return -(-len(handles) // _LEGEND_COLUMNS)


def _draw_legends(figure: Figure, axes: Axes, legends: Sequence[Sequence[Line2D]]) -> None:
    """Legends above the drawing, from the bottom up; columns of one are no wider for another's."""
    line = _LEGEND_LINE / (figure.get_figheight() * axes.get_position().height)
    lines = 0
    for handles in legends:
        legend = axes.legend(
            handles=list(handles),
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0 + line * lines),
            borderaxespad=0.2,
            ncols=_LEGEND_COLUMNS,
            frameon=False,
            labelcolor=INK,
        )
        if handles is not legends[-1]:
            # Axes keep only their last legend by themselves.
            axes.add_artist(legend)
        lines += _legend_lines(handles)
