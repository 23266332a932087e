"""Boxes for RViz: visualization_msgs/MarkerArray."""

from __future__ import annotations

import colorsys
import math
import zlib
from collections import Counter
from typing import Any

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from awml_deploy_core.detections import Detections
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.outputs.base import Output, OutputContext, latest_only
from awml_deploy_ros.outputs.geometry import Box, boxes_of, pose_of, size_of

TOPIC = "~/output/markers"

BOX, HEADING, VELOCITY, LABEL = "box", "heading", "velocity", "label"
"""Namespaces are ``<class>/<kind>``; ids count the boxes of a class from 0."""

_MIN_SPEED = 0.5
"""[m/s] below which no velocity arrow is drawn."""
_LINE = 0.08
_TEXT_HEIGHT = 0.8


def to_marker_array(header: Any, detections: Detections, lifetime_ms: float) -> Any:
    """Box, heading and label of every detection, and its velocity where it moves."""
    seconds, nanoseconds = divmod(round(lifetime_ms * 1e6), 1_000_000_000)
    lifetime = Duration(sec=seconds, nanosec=nanoseconds)
    ids: Counter[str] = Counter()
    markers = []
    for box in boxes_of(detections):
        number = ids[box.class_name]
        ids[box.class_name] += 1
        for kind, marker in _markers(box, moving=detections.has_velocity):
            marker.header = header
            marker.ns = f"{box.class_name}/{kind}"
            marker.id = number
            marker.action = Marker.ADD
            marker.lifetime = lifetime
            markers.append(marker)
    return MarkerArray(markers=markers)


def color_of(class_name: str) -> tuple[float, float, float]:
    """Red, green, blue in [0, 1]: the same for a class in every run."""
    hue = (zlib.crc32(class_name.encode()) % 360) / 360
    return colorsys.hsv_to_rgb(hue, 0.75, 1.0)


def _markers(box: Box, *, moving: bool) -> list[tuple[str, Any]]:
    red, green, blue = color_of(box.class_name)
    length, _, height = box.size
    x, y, z = box.center
    solid = ColorRGBA(r=red, g=green, b=blue, a=1.0)
    found = [
        (
            BOX,
            Marker(
                type=Marker.CUBE,
                pose=pose_of(box),
                scale=size_of(box),
                color=ColorRGBA(r=red, g=green, b=blue, a=0.35),
            ),
        ),
        (HEADING, _arrow(box, (length / 2 * math.cos(box.yaw), length / 2 * math.sin(box.yaw)), solid)),
        (
            LABEL,
            Marker(
                type=Marker.TEXT_VIEW_FACING,
                pose=Pose(
                    position=Point(x=x, y=y, z=z + height / 2 + _TEXT_HEIGHT),
                    orientation=Quaternion(w=1.0),
                ),
                scale=Vector3(z=_TEXT_HEIGHT),
                color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
                text=f"{box.class_name} {box.score:.2f}",
            ),
        ),
    ]
    if moving and math.hypot(*box.velocity) >= _MIN_SPEED:
        found.append((VELOCITY, _arrow(box, box.velocity, ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0))))
    return found


def _arrow(box: Box, vector: tuple[float, float], color: Any) -> Any:
    x, y, z = box.center
    return Marker(
        type=Marker.ARROW,
        pose=Pose(orientation=Quaternion(w=1.0)),
        scale=Vector3(x=_LINE, y=3 * _LINE, z=3 * _LINE),
        color=color,
        points=[Point(x=x, y=y, z=z), Point(x=x + vector[0], y=y + vector[1], z=z)],
    )


class MarkerOutput:
    """Publishes the markers on ``~/output/markers``."""

    def __init__(self, context: OutputContext) -> None:
        self._context = context
        self._publisher = context.node.create_publisher(MarkerArray, TOPIC, latest_only())

    def publish(self, frame: ProcessedFrame) -> None:
        self._publisher.publish(
            to_marker_array(frame.header, frame.detections, self._context.marker_lifetime_ms)
        )

    def close(self) -> None:
        self._context.node.destroy_publisher(self._publisher)


def create(context: OutputContext) -> Output:
    return MarkerOutput(context)
