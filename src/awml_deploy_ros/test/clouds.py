"""PointCloud2 messages for tests."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

FIELDS = ("x", "y", "z", "intensity")


def cloud_of(points: Any, frame_id: str = "base_link", stamp: tuple[int, int] = (1, 2)) -> Any:
    """A float32 cloud of points [N, 4]: x, y, z, intensity."""
    points = np.asarray(points, np.float32).reshape(-1, len(FIELDS))
    message = PointCloud2(
        height=1,
        width=len(points),
        fields=[
            PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
            for index, name in enumerate(FIELDS)
        ],
        point_step=16,
        row_step=16 * len(points),
        data=array.array("B", points.tobytes()),
        is_dense=True,
    )
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = stamp
    return message


def truncated_cloud() -> Any:
    """A cloud whose data are shorter than its layout says."""
    message = cloud_of(np.ones((10, 4)))
    message.data = message.data[:-1]
    return message
