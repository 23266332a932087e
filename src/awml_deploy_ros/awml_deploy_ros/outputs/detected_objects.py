"""Autoware's objects: autoware_perception_msgs/DetectedObjects."""

from __future__ import annotations

from typing import Any

from autoware_perception_msgs.msg import (
    DetectedObject,
    DetectedObjectKinematics,
    DetectedObjects,
    ObjectClassification,
    Shape,
)
from geometry_msgs.msg import PoseWithCovariance, Twist, TwistWithCovariance, Vector3

from awml_deploy_core.detections import Detections
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.outputs.base import Output, OutputContext, create_publisher, latest_only
from awml_deploy_ros.outputs.classification import autoware_label, is_car_like
from awml_deploy_ros.outputs.geometry import Box, boxes_of, pose_of, size_of
from awml_deploy_ros.topics import DETECTED_OBJECTS


def to_detected_objects(header: Any, detections: Detections) -> Any:
    """DetectedObjects of all boxes; the twist is in the frame of the object."""
    return DetectedObjects(
        header=header,
        objects=[_object(box, has_twist=detections.has_velocity) for box in boxes_of(detections)],
    )


def _object(box: Box, *, has_twist: bool) -> Any:
    label = autoware_label(box.class_name)
    kinematics = DetectedObjectKinematics(
        pose_with_covariance=PoseWithCovariance(pose=pose_of(box)),
        has_position_covariance=False,
        # A car looks much the same from the front and from behind.
        orientation_availability=(
            DetectedObjectKinematics.SIGN_UNKNOWN
            if is_car_like(label)
            else DetectedObjectKinematics.UNAVAILABLE
        ),
        has_twist=has_twist,
        has_twist_covariance=False,
    )
    if has_twist:
        forward, left = box.velocity_in_box
        kinematics.twist_with_covariance = TwistWithCovariance(
            twist=Twist(linear=Vector3(x=forward, y=left, z=0.0))
        )
    return DetectedObject(
        existence_probability=box.score,
        classification=[ObjectClassification(label=label, probability=1.0)],
        kinematics=kinematics,
        shape=Shape(type=Shape.BOUNDING_BOX, dimensions=size_of(box)),
    )


class DetectedObjectsOutput:
    """Publishes Autoware's objects on ``~/output/objects``."""

    def __init__(self, context: OutputContext) -> None:
        self._context = context
        self._publisher = create_publisher(
            context.node, DetectedObjects, DETECTED_OBJECTS.name, latest_only()
        )

    def publish(self, frame: ProcessedFrame) -> None:
        self._publisher.publish(to_detected_objects(frame.header, frame.output))

    def close(self) -> None:
        self._context.node.destroy_publisher(self._publisher)


def create(context: OutputContext) -> Output:
    return DetectedObjectsOutput(context)
