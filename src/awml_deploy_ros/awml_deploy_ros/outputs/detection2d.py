"""The ROS standard for detections in images: vision_msgs/Detection2DArray."""

from __future__ import annotations

from typing import Any

from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
)

from awml_deploy_core.detections2d import Detections2D
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.outputs.base import Output, OutputContext, create_publisher, latest_only
from awml_deploy_ros.topics import DETECTION2D


def to_detection2d_array(header: Any, detections: Detections2D) -> Any:
    """Detection2DArray of all boxes; without a pose, which an image does not tell."""
    return Detection2DArray(
        header=header,
        detections=[
            Detection2D(
                header=header,
                results=[
                    ObjectHypothesisWithPose(
                        hypothesis=ObjectHypothesis(class_id=detections.class_names[label], score=score)
                    )
                ],
                bbox=BoundingBox2D(
                    center=Pose2D(position=Point2D(x=(left + right) / 2, y=(top + bottom) / 2), theta=0.0),
                    size_x=right - left,
                    size_y=bottom - top,
                ),
            )
            for (left, top, right, bottom), score, label in zip(
                detections.boxes.tolist(),
                detections.scores.tolist(),
                detections.labels.tolist(),
                strict=True,
            )
        ],
    )


class Detection2DOutput:
    """Publishes the detections on ``~/output/detections``."""

    def __init__(self, context: OutputContext) -> None:
        self._context = context
        self._publisher = create_publisher(context.node, Detection2DArray, DETECTION2D.name, latest_only())

    def publish(self, frame: ProcessedFrame) -> None:
        self._publisher.publish(to_detection2d_array(frame.header, frame.output))

    def close(self) -> None:
        self._context.node.destroy_publisher(self._publisher)


def create(context: OutputContext) -> Output:
    return Detection2DOutput(context)
