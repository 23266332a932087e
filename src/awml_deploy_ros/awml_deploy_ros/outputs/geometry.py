"""The one place where boxes become ROS geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from geometry_msgs.msg import Point, Pose, Quaternion, Vector3

from awml_deploy_core.detections import Detections


@dataclass(frozen=True)
class Box:
    """One box as Python floats, in the frame of the cloud."""

    center: tuple[float, float, float]
    """x, y, z [m]."""
    size: tuple[float, float, float]
    """length, width, height [m]."""
    yaw: float
    """[rad], counter-clockwise from +x."""
    velocity: tuple[float, float]
    """vx, vy [m/s] along the axes of the cloud's frame."""
    score: float
    label: int
    class_name: str

    @property
    def velocity_in_box(self) -> tuple[float, float]:
        """Velocity [m/s] along the heading and to the left of it."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        vx, vy = self.velocity
        return cos * vx + sin * vy, -sin * vx + cos * vy


def boxes_of(detections: Detections) -> Iterator[Box]:
    """Boxes in the order of the detections."""
    for center, size, yaw, velocity, score, label in zip(
        detections.centers.tolist(),
        detections.sizes.tolist(),
        detections.yaws.tolist(),
        detections.velocities.tolist(),
        detections.scores.tolist(),
        detections.labels.tolist(),
        strict=True,
    ):
        yield Box(
            tuple(center), tuple(size), yaw, tuple(velocity), score, label, detections.class_names[label]
        )


def quaternion_of(yaw: float) -> Any:
    """geometry_msgs/Quaternion of a rotation about +z [rad]."""
    return Quaternion(x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2))


def yaw_of(quaternion: Any) -> float:
    """Rotation about +z [rad] of a geometry_msgs/Quaternion; inverse of :func:`quaternion_of`."""
    q = quaternion
    return math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))


def pose_of(box: Box) -> Any:
    """geometry_msgs/Pose of a box: geometric centre and heading."""
    x, y, z = box.center
    return Pose(position=Point(x=x, y=y, z=z), orientation=quaternion_of(box.yaw))


def size_of(box: Box) -> Any:
    """geometry_msgs/Vector3 of length, width, height [m]."""
    length, width, height = box.size
    return Vector3(x=length, y=width, z=height)
