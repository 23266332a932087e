"""Boxes as JSON and back, every float32 exactly; NaN is null, infinity a string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.ground_truth import GroundTruth

_COLUMNS = ("centers", "sizes", "yaws", "velocities", "scores")
_WIDTHS = {"centers": (3,), "sizes": (3,), "velocities": (2,)}


def encode_boxes(boxes: Detections) -> dict[str, Any]:
    """JSON-ready columns."""
    columns = {name: listed(getattr(boxes, name)) for name in _COLUMNS}
    return {
        **columns,
        "labels": boxes.labels.tolist(),
        "class_names": list(boxes.class_names),
        "has_velocity": boxes.has_velocity,
    }


def decode_boxes(content: Mapping[str, Any]) -> Detections:
    """The inverse of :func:`encode_boxes`.

    Raises:
        KeyError, TypeError, ValueError: The content is damaged.
        TensorMismatchError: Its columns do not belong together.
    """
    columns = {
        name: np.array(content[name], np.float32).reshape(-1, *_WIDTHS.get(name, ())) for name in _COLUMNS
    }
    return Detections(
        **columns,
        labels=np.array(content["labels"], np.int32),
        class_names=tuple(content["class_names"]),
        has_velocity=bool(content["has_velocity"]),
    )


def encode_truth(truth: GroundTruth) -> dict[str, Any]:
    """JSON-ready columns."""
    return {
        "boxes": encode_boxes(truth.boxes),
        "num_points": truth.num_points.tolist(),
        "track_ids": truth.track_ids.tolist(),
    }


def decode_truth(content: Mapping[str, Any]) -> GroundTruth:
    """The inverse of :func:`encode_truth`; raises as :func:`decode_boxes`."""
    return GroundTruth(
        decode_boxes(content["boxes"]),
        np.array(content["num_points"], np.int32),
        np.array(content["track_ids"], np.int32),
    )


def listed(values: npt.NDArray[np.float32]) -> Any:
    """An array as nested lists; ``np.array(..., np.float32)`` is the inverse."""
    # A float32 as a double has one shortest text, which gives back the same float32.
    exact = values.astype(np.float64)
    listed = exact.astype(object)
    listed[np.isnan(exact)] = None
    listed[np.isposinf(exact)], listed[np.isneginf(exact)] = "inf", "-inf"
    return listed.tolist()
