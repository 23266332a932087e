"""Boxes for RViz: visualization_msgs/MarkerArray."""

from __future__ import annotations

import colorsys
import copy
import math
import zlib
from collections.abc import Iterable
from typing import Any

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from awml_deploy_core.detections import Detections
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.outputs.base import Output, OutputContext, create_publisher, latest_only
from awml_deploy_ros.outputs.geometry import Box, boxes_of, pose_of, size_of
from awml_deploy_ros.topics import MARKERS

BOX, LABEL, HEADING, VELOCITY = "box", "label", "heading", "velocity"
"""Namespaces are ``<class>/<kind>``. Boxes and labels have one marker a box, whose ids count the
boxes of the class from 0; headings and velocities have one marker a class, of id 0."""

_MIN_SPEED = 0.5
"""[m/s] below which no velocity is drawn."""
_LINE = 0.08
_TEXT_HEIGHT = 0.8
_WHITE = (1.0, 1.0, 1.0)


def to_marker_array(header: Any, detections: Detections, lifetime_ms: float) -> Any:
    """Box, label and heading of every detection, and its way in one second where it moves."""
    seconds, nanoseconds = divmod(round(lifetime_ms * 1e6), 1_000_000_000)
    base = Marker(header=header, action=Marker.ADD, lifetime=Duration(sec=seconds, nanosec=nanoseconds))
    by_class: dict[str, list[Box]] = {}
    for box in boxes_of(detections):
        by_class.setdefault(box.class_name, []).append(box)
    return MarkerArray(
        markers=[
            marker
            for class_name, boxes in by_class.items()
            for marker in _class_markers(base, class_name, boxes, moving=detections.has_velocity)
        ]
    )


def color_of(class_name: str) -> tuple[float, float, float]:
    """Red, green, blue in [0, 1]: the same for a class in every run."""
    hue = (zlib.crc32(class_name.encode()) % 360) / 360
    return colorsys.hsv_to_rgb(hue, 0.75, 1.0)


def _class_markers(base: Any, class_name: str, boxes: list[Box], *, moving: bool) -> Iterable[Any]:
    color = color_of(class_name)
    solid = _template(base, f"{class_name}/{BOX}", Marker.CUBE, color, alpha=0.35)
    text = _template(base, f"{class_name}/{LABEL}", Marker.TEXT_VIEW_FACING, _WHITE)
    text.scale = Vector3(z=_TEXT_HEIGHT)
    for number, box in enumerate(boxes):
        marker = copy.copy(solid)
        marker.id, marker.pose, marker.scale = number, pose_of(box), size_of(box)
        yield marker
        marker = copy.copy(text)
        marker.id, marker.text = number, f"{class_name} {box.score:.2f}"
        x, y, z = box.center
        marker.pose = Pose(position=Point(x=x, y=y, z=z + box.size[2] / 2 + _TEXT_HEIGHT))
        yield marker
    lines = _template(base, f"{class_name}/{HEADING}", Marker.LINE_LIST, color)
    lines.points = [
        point
        for box in boxes
        for point in _line(box, box.size[0] / 2 * math.cos(box.yaw), box.size[0] / 2 * math.sin(box.yaw))
    ]
    yield lines
    fast = [box for box in boxes if moving and math.hypot(*box.velocity) >= _MIN_SPEED]
    if fast:
        lines = _template(base, f"{class_name}/{VELOCITY}", Marker.LINE_LIST, _WHITE)
        lines.points = [point for box in fast for point in _line(box, *box.velocity)]
        yield lines


def _template(
    base: Any, namespace: str, kind: int, color: tuple[float, float, float], alpha: float = 1.0
) -> Any:
    # A copy costs a quarter of a new message, which fills all of its fields with defaults first.
    marker = copy.copy(base)
    marker.ns, marker.type = namespace, kind
    marker.scale = Vector3(x=_LINE)
    marker.pose = Pose(orientation=Quaternion(w=1.0))
    red, green, blue = color
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
    return marker


def _line(box: Box, dx: float, dy: float) -> tuple[Any, Any]:
    x, y, z = box.center
    return Point(x=x, y=y, z=z), Point(x=x + dx, y=y + dy, z=z)


class MarkerOutput:
    """Publishes the markers on ``~/output/markers``."""

    def __init__(self, context: OutputContext) -> None:
        self._context = context
        self._publisher = create_publisher(context.node, MarkerArray, MARKERS.name, latest_only())

    def publish(self, frame: ProcessedFrame) -> None:
        message = to_marker_array(frame.header, frame.output, self._context.marker_lifetime_ms)
        # Otherwise a box that is gone stays for its lifetime.
        message.markers.insert(0, Marker(header=frame.header, action=Marker.DELETEALL))
        self._publisher.publish(message)

    def close(self) -> None:
        self._context.node.destroy_publisher(self._publisher)


def create(context: OutputContext) -> Output:
    return MarkerOutput(context)
