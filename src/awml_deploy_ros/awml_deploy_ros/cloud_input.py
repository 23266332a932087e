"""Clouds on their way from the middleware to the pipeline."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from awml_deploy_core.errors import PointCloudError
from awml_deploy_core.pointcloud2 import FieldMapping, columns_of
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_ros.frame import NO_TRANSPORT, Transport


@dataclass(frozen=True, eq=False)
class ReceivedCloud:
    """A message and when it arrived."""

    message: Any
    """sensor_msgs/PointCloud2."""
    arrival_ns: int
    """Monotonic clock [ns]."""
    transport: Transport = NO_TRANSPORT


class LatestCloud:
    """A queue of one: the latest cloud wins."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._cloud: ReceivedCloud | None = None
        self._closed = False

    def put(self, cloud: ReceivedCloud) -> ReceivedCloud | None:
        """Store a cloud; return the one that it replaced, which nobody took.

        Once the queue is closed that is the cloud itself.
        """
        with self._condition:
            if self._closed:
                return cloud
            replaced, self._cloud = self._cloud, cloud
            self._condition.notify()
            return replaced

    def take(self) -> ReceivedCloud | None:
        """Wait for a cloud; ``None`` once the queue is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._cloud is not None)
            if self._closed:
                return None
            cloud, self._cloud = self._cloud, None
            return cloud

    def close(self) -> int:
        """End every wait; return how many clouds were left."""
        with self._condition:
            self._closed = True
            left = int(self._cloud is not None)
            self._cloud = None
            self._condition.notify_all()
            return left


def field_mapping(columns: Mapping[str, str]) -> FieldMapping:
    """Field mapping from field names by column; without ``intensity`` none is read.

    Raises:
        ParameterError: Two columns name the same field.
    """
    return FieldMapping(columns["x"], columns["y"], columns["z"], columns.get("intensity"))


def frame_of(message: Any, mapping: FieldMapping, *, check_is_dense: bool = True) -> PointCloudFrame:
    """A sensor_msgs/PointCloud2 as the current sweep, without copying its points.

    Args:
        message: The cloud.
        mapping: Which field holds which column.
        check_is_dense: Whether a cloud that says ``is_dense`` and is not is malformed.

    Raises:
        PointCloudError: The message is malformed, or does not say in which frame its points are.
    """
    # Boxes without a frame are of no use: tf2 refuses the empty name wherever they go.
    if not message.header.frame_id:
        raise PointCloudError(
            "header.frame_id",
            "is empty",
            expected="the frame of the points, e.g. base_link",
            hint="Name the frame in the publisher of the clouds.",
        )
    columns = columns_of(message, mapping)
    if check_is_dense and message.is_dense and (bad := columns.count_non_finite()):
        raise PointCloudError(
            "is_dense",
            "is true, but points are NaN or infinite",
            got=f"{bad} of {len(columns)} points",
            expected="finite x, y and z",
            hint="Mend the publisher, or set the parameter check_is_dense to false to leave them out.",
        )
    stamp = message.header.stamp
    return PointCloudFrame.single(
        columns, message.header.frame_id, stamp.sec * 1_000_000_000 + stamp.nanosec
    )
