"""The messages whose costs are measured: clouds of a size, every output that is installed, diagnostics."""

from __future__ import annotations

import array
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import StageLatencies, StageLatency
from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC, fields_of
from awml_deploy_lab.simulation.points import lidar_like_points

_CLASSES = ("CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN")
_STAGES = ("queue", "decode", "tf_wait", "densify", "voxelize", "encode", "scatter", "backbone_head")


@dataclass(frozen=True)
class Kind:
    """A message to time."""

    type: str
    build: Callable[[], Any]
    is_cloud: bool = False


def cloud(size_mb: float) -> Any:
    """A sensor_msgs/PointCloud2 of PointXYZIRC with so much data."""
    from sensor_msgs.msg import PointCloud2, PointField

    count = round(size_mb * 1e6 / POINT_XYZIRC.itemsize)
    points = np.zeros(count, POINT_XYZIRC)
    source = lidar_like_points(count)
    for index, name in enumerate(("x", "y", "z", "intensity")):
        points[name] = source[:, index]
    fields = [
        PointField(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count)
        for f in fields_of(POINT_XYZIRC)
    ]
    message = PointCloud2(height=1, width=count, fields=fields, point_step=POINT_XYZIRC.itemsize)
    message.header.frame_id = "base_link"
    message.row_step, message.is_dense = message.point_step * count, True
    message.data = array.array("B", points.tobytes())
    return message


def detections(count: int) -> Detections:
    """Boxes all over the range, moving."""
    random = np.random.default_rng(0)
    return Detections(
        random.uniform(-70, 70, (count, 3)).astype(np.float32),
        random.uniform(0.5, 5, (count, 3)).astype(np.float32),
        random.uniform(-3, 3, count).astype(np.float32),
        random.uniform(-10, 10, (count, 2)).astype(np.float32),
        random.uniform(0.3, 1, count).astype(np.float32),
        random.integers(0, len(_CLASSES), count).astype(np.int32),
        _CLASSES,
    )


def outputs(count: int) -> dict[str, Kind]:
    """Every output that is installed, of so many boxes."""
    from std_msgs.msg import Header

    from awml_deploy_ros.counters import FrameCounters
    from awml_deploy_ros.frame import HeaderAge, ProcessedFrame
    from awml_deploy_ros.model import ModelIdentity
    from awml_deploy_ros.outputs.markers import to_marker_array
    from awml_deploy_ros.outputs.record import to_record

    found, header = detections(count), Header(frame_id="base_link")
    stages = StageLatencies(tuple(StageLatency(name, 1.0) for name in _STAGES))
    frame = ProcessedFrame(header, found, stages, {}, time.monotonic_ns())
    identity = ModelIdentity("centerpoint", "0" * 64, "onnxruntime", "cpu")
    counters, age = FrameCounters().snapshot(), HeaderAge(0.0, True)
    kinds = {
        f"DetectionFrame, {count} boxes": Kind(
            "awml_deploy_msgs/msg/DetectionFrame", lambda: to_record(frame, identity, counters, age)
        ),
        f"MarkerArray, {count} boxes": Kind(
            "visualization_msgs/msg/MarkerArray", lambda: to_marker_array(header, found, 500.0)
        ),
    }
    if find_spec("vision_msgs"):
        from awml_deploy_ros.outputs.detection3d import to_detection3d_array

        kinds[f"Detection3DArray, {count} boxes"] = Kind(
            "vision_msgs/msg/Detection3DArray", lambda: to_detection3d_array(header, found)
        )
    if find_spec("autoware_perception_msgs"):
        from awml_deploy_ros.outputs.detected_objects import to_detected_objects

        kinds[f"DetectedObjects, {count} boxes"] = Kind(
            "autoware_perception_msgs/msg/DetectedObjects", lambda: to_detected_objects(header, found)
        )
    return kinds


def diagnostics() -> Kind:
    """The node's diagnostics with two statuses, as every second."""
    from builtin_interfaces.msg import Time

    from awml_deploy_ros.diagnostics import latency_report, to_diagnostics, to_status
    from awml_deploy_ros.health import Health, Level
    from awml_deploy_ros.latency import RollingLatency

    latency = RollingLatency(1000)
    for _ in range(1000):
        latency.add(tuple(StageLatency(name, 1.0) for name in _STAGES))

    def build() -> Any:
        report = latency_report(Health(Level.OK, "running"), latency.summaries())
        return to_diagnostics(Time(), [to_status("/centerpoint", report, "cpu")] * 2)

    return Kind("diagnostic_msgs/msg/DiagnosticArray", build)
