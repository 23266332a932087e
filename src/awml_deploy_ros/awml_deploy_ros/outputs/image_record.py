"""The typed record of an image: awml_deploy_msgs/ImageDetectionFrame."""

from __future__ import annotations

from typing import Any

from awml_deploy_msgs.msg import ImageBox, ImageDetectionFrame

from awml_deploy_core.detections2d import Detections2D
from awml_deploy_ros.counters import CounterSnapshot
from awml_deploy_ros.frame import HeaderAge, ProcessedFrame
from awml_deploy_ros.model import ModelIdentity
from awml_deploy_ros.outputs.base import OutputContext
from awml_deploy_ros.outputs.record import RecordOutput, common_fields
from awml_deploy_ros.topics import IMAGE_FRAME

_NOT_REPORTED = -1


def to_image_boxes(detections: Detections2D) -> list[Any]:
    """awml_deploy_msgs/ImageBox of every box."""
    return [
        ImageBox(
            left=left,
            top=top,
            right=right,
            bottom=bottom,
            class_name=detections.class_names[label],
            label=label,
            score=score,
        )
        for (left, top, right, bottom), score, label in zip(
            detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist(), strict=True
        )
    ]


def to_image_record(
    frame: ProcessedFrame, identity: ModelIdentity, counters: CounterSnapshot, age: HeaderAge
) -> Any:
    """awml_deploy_msgs/ImageDetectionFrame of a frame, its latency taken now."""
    return ImageDetectionFrame(
        width=frame.sample.width,
        height=frame.sample.height,
        boxes=to_image_boxes(frame.output),
        boxes_decoded=int(frame.counts.get("boxes_decoded", _NOT_REPORTED)),
        boxes_non_finite=int(frame.counts.get("boxes_non_finite", _NOT_REPORTED)),
        **common_fields(frame, identity, counters, age),
    )


def create(context: OutputContext) -> RecordOutput:
    return RecordOutput(context, IMAGE_FRAME, ImageDetectionFrame, to_image_record)
