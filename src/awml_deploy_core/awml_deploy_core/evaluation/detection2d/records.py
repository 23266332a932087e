"""2D boxes and their ground truth as JSON and back, every float32 exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from awml_deploy_core.detections2d import Detections2D, GroundTruth2D
from awml_deploy_core.evaluation.box_records import listed


def encode_boxes(boxes: Detections2D) -> dict[str, Any]:
    """JSON-ready columns."""
    return {
        "boxes": listed(boxes.boxes),
        "scores": listed(boxes.scores),
        "labels": boxes.labels.tolist(),
        "class_names": list(boxes.class_names),
    }


def decode_boxes(content: Mapping[str, Any]) -> Detections2D:
    """The inverse of :func:`encode_boxes`.

    Raises:
        KeyError, TypeError, ValueError: The content is damaged.
        TensorMismatchError: Its columns do not belong together.
    """
    return Detections2D(
        np.array(content["boxes"], np.float32).reshape(-1, 4),
        np.array(content["scores"], np.float32),
        np.array(content["labels"], np.int32),
        tuple(content["class_names"]),
    )


def encode_truth(truth: GroundTruth2D) -> dict[str, Any]:
    """JSON-ready columns."""
    return {
        "boxes": encode_boxes(truth.boxes),
        "is_crowd": truth.is_crowd.tolist(),
        "areas": None if truth.areas is None else truth.areas.tolist(),
    }


def decode_truth(content: Mapping[str, Any]) -> GroundTruth2D:
    """The inverse of :func:`encode_truth`; raises as :func:`decode_boxes`."""
    areas = content["areas"]
    return GroundTruth2D(
        decode_boxes(content["boxes"]),
        np.array(content["is_crowd"], np.bool_),
        None if areas is None else np.array(areas, np.float64),
    )
