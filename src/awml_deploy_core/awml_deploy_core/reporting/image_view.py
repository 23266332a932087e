"""A camera image with the boxes of a model, of another backend and of the ground truth."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from awml_deploy_core.detections2d import Detections2D, GroundTruth2D
from awml_deploy_core.files import write_bytes
from awml_deploy_core.images import Image
from awml_deploy_core.packages import require_package
from awml_deploy_core.reporting.bev_drawing import BACKGROUND, INK, fitting_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 100
_LARGEST = 1280.0
"""Longer side of the image in the picture [px]."""
_TITLE = 0.5
"""Height of the line above the image [inch]."""


def render_image(
    image: Image,
    boxes: Detections2D,
    *,
    reference: Detections2D | None = None,
    ground_truth: GroundTruth2D | None = None,
    title: str = "",
) -> bytes:
    """Draw boxes by class with class and score, and optionally what to compare with.

    Args:
        image: As it was fed.
        boxes: In pixels of the image, drawn solid.
        reference: Boxes of another backend, white and dashed.
        ground_truth: What is there, white and thin; crowds dotted.
        title: One line above the image.

    Returns:
        A PNG file's bytes, the same for the same input and matplotlib version.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require_package("matplotlib", "to draw pictures", "3.7")
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale = _LARGEST / max(image.width, image.height) / _DPI
    width, height = image.width * scale, image.height * scale
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 8.0, "text.color": INK}):
        figure = Figure(figsize=(width, height + _TITLE), dpi=_DPI, facecolor=BACKGROUND)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, height / (height + _TITLE)))
        axes.set_axis_off()
        # Pixels are squares whose first corner is at 0, 0.
        axes.imshow(image.pixels[..., ::-1], extent=(0, image.width, image.height, 0), aspect="auto")
        figure.text(
            0.01, 1 - 0.6 * _TITLE / (height + _TITLE), title, fontsize=fitting_size(title, width, 11.0)
        )
        if ground_truth is not None:
            crowds = np.where(ground_truth.is_crowd, ":", "-").tolist()
            _draw(axes, ground_truth.boxes, ["white"] * len(ground_truth), crowds, 1.0)
        if reference is not None:
            _draw(axes, reference, ["white"] * len(reference), ["--"] * len(reference), 1.5)
        colors = [f"C{int(label) % 10}" for label in boxes.labels]
        _draw(axes, boxes, colors, ["-"] * len(boxes), 1.8)
        for index, (left, top, _, _) in enumerate(boxes.boxes.tolist()):
            name = boxes.class_names[int(boxes.labels[index])]
            text = f"{name} {float(boxes.scores[index]):.2f}"
            plate = {"facecolor": colors[index], "edgecolor": "none", "pad": 1.0, "alpha": 0.8}
            axes.text(left, top, text, color="white", verticalalignment="bottom", bbox=plate, clip_on=True)
        output = io.BytesIO()
        figure.savefig(output, format="png", facecolor=BACKGROUND, metadata={"Software": None})
    return output.getvalue()


def write_image(path: Path, image: Image, boxes: Detections2D, **options: Any) -> None:
    """Write :func:`render_image`'s picture atomically; ``options`` are its keyword arguments.

    Raises:
        ArtifactError: The file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    write_bytes(path, render_image(image, boxes, **options))


def _draw(axes: Axes, boxes: Detections2D, colors: list[str], styles: list[str], width: float) -> None:
    from matplotlib.patches import Rectangle

    for (left, top, right, bottom), color, style in zip(boxes.boxes.tolist(), colors, styles, strict=True):
        corner, size = (left, top), (right - left, bottom - top)
        axes.add_patch(Rectangle(corner, *size, fill=False, color=color, ls=style, lw=width))
