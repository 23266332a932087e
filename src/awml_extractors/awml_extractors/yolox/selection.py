"""From candidates to the boxes of an image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections2d import Detections2D
from awml_extractors.yolox.decode import Candidates
from awml_extractors.yolox.letterbox import Letterbox
from awml_extractors.yolox.nms import suppress, suppress_by_class
from awml_extractors.yolox.options import YoloxOptions


@np.errstate(over="ignore", invalid="ignore")
def select(candidates: Candidates, options: YoloxOptions) -> Candidates:
    """What suppression leaves, at most as many as there may be.

    Boxes stay in the network's input; with decoder ``autoware`` they are whole pixels.
    """
    boxes = candidates.boxes
    if options.decoder == "autoware":
        boxes = whole_pixels(boxes)
        kept = suppress(boxes, options.nms_threshold, options.max_detections)
    else:
        kept = suppress_by_class(boxes, candidates.labels, options.nms_threshold, options.max_detections)
    return replace(
        candidates, boxes=boxes[kept], scores=candidates.scores[kept], labels=candidates.labels[kept]
    )


@np.errstate(over="ignore", invalid="ignore")
def in_image(
    kept: Candidates, letterbox: Letterbox, options: YoloxOptions, class_names: tuple[str, ...]
) -> Detections2D:
    """Boxes of :func:`select` in pixels of the image; those without a part inside it are left out."""
    if options.decoder == "autoware":
        # Autoware keeps corner and size as whole numbers, in the input and in the image.
        boxes = whole_pixels(letterbox.to_image(kept.boxes, margin=1.0))
    else:
        boxes = letterbox.to_image(kept.boxes)
    found = Detections2D(boxes, kept.scores, kept.labels, class_names)
    # What lies in the grey part alone has no area left.
    return found.select(np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1)))


def whole_pixels(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Boxes whose upper left corner and size are cut to whole numbers."""
    corner = np.trunc(boxes[:, :2])
    return np.concatenate([corner, corner + np.trunc(boxes[:, 2:] - boxes[:, :2])], axis=1)
