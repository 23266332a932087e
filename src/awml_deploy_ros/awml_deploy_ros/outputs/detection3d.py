"""The ROS standard for detections: vision_msgs/Detection3DArray (it has no velocity)."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseWithCovariance
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from awml_deploy_core.detections import Detections
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.outputs.base import Output, OutputContext, create_publisher, latest_only
from awml_deploy_ros.outputs.geometry import Box, boxes_of, pose_of, size_of
from awml_deploy_ros.topics import DETECTION3D


def to_detection3d_array(header: Any, detections: Detections) -> Any:
    """Detection3DArray of all boxes."""
    return Detection3DArray(
        header=header, detections=[_detection(header, box) for box in boxes_of(detections)]
    )


def _detection(header: Any, box: Box) -> Any:
    return Detection3D(
        header=header,
        results=[
            ObjectHypothesisWithPose(
                hypothesis=ObjectHypothesis(class_id=box.class_name, score=box.score),
                pose=PoseWithCovariance(pose=pose_of(box)),
            )
        ],
        bbox=BoundingBox3D(center=pose_of(box), size=size_of(box)),
    )


class Detection3DOutput:
    """Publishes the detections on ``~/output/detections``."""

    def __init__(self, context: OutputContext) -> None:
        self._context = context
        self._publisher = create_publisher(context.node, Detection3DArray, DETECTION3D.name, latest_only())

    def publish(self, frame: ProcessedFrame) -> None:
        self._publisher.publish(to_detection3d_array(frame.header, frame.output))

    def close(self) -> None:
        self._context.node.destroy_publisher(self._publisher)


def create(context: OutputContext) -> Output:
    return Detection3DOutput(context)
