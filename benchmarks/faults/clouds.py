"""Good and faulty sensor_msgs/PointCloud2, made from one recorded cloud."""

from __future__ import annotations

import array
import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import PointField

from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC

Change = Callable[[Any], None]

_UINT32_MAX = 2**32 - 1
_UNKNOWN_DATATYPE = 99


def changed(message: Any, change: Change) -> Any:
    """A copy of a cloud with its own fields; the data are shared until they are replaced."""
    cloud = copy.copy(message)
    cloud.header = copy.deepcopy(message.header)
    cloud.fields = copy.deepcopy(message.fields)
    change(cloud)
    return cloud


def points_of(message: Any) -> np.ndarray[Any, Any]:
    """A writable copy of a cloud's records [N]."""
    return np.frombuffer(message.data, POINT_XYZIRC).copy()


def with_points(points: np.ndarray[Any, Any], *, is_dense: bool = True) -> Change:
    """Replaces the points of a cloud."""

    def change(cloud: Any) -> None:
        cloud.height, cloud.width = 1, len(points)
        cloud.row_step = cloud.point_step * len(points)
        cloud.data = array.array("B", points.tobytes())
        cloud.is_dense = is_dense

    return change


def sized(message: Any, count: int) -> Change:
    """A cloud of ``count`` points: those of the message again and again, each time a little aside."""
    points = points_of(message)
    repeats = -(-count // len(points))
    many = np.concatenate([points] * repeats)[:count]
    shift = np.random.default_rng(0).normal(0.0, 0.02, (count, 3)).astype(np.float32)
    for axis, name in enumerate(("x", "y", "z")):
        many[name] += shift[:, axis]
    return with_points(many)


def not_finite(message: Any, share: float, *, is_dense: bool) -> Change:
    """NaN and infinity in a share of the points."""
    points = points_of(message)
    bad = np.random.default_rng(0).random(len(points)) < share
    points["x"][bad] = np.nan
    points["y"][bad] = np.inf
    return with_points(points, is_dense=is_dense)


def noise(message: Any) -> Change:
    """Random bytes in the right layout."""
    content = np.random.default_rng(0).integers(0, 256, len(message.data), np.uint8)
    return with_points(content.view(POINT_XYZIRC), is_dense=False)


def _field(index: int, **values: Any) -> Change:
    def change(cloud: Any) -> None:
        for name, value in values.items():
            setattr(cloud.fields[index], name, value)

    return change


def _set(**values: Any) -> Change:
    def change(cloud: Any) -> None:
        for name, value in values.items():
            setattr(cloud, name, value)

    return change


def _cut(cloud: Any) -> None:
    cloud.data = cloud.data[:-1]


def _grown(cloud: Any) -> None:
    cloud.data = cloud.data + array.array("B", [0])


def _without_data(cloud: Any) -> None:
    cloud.data = array.array("B")


def _wider(cloud: Any) -> None:
    cloud.width += 1
    cloud.row_step += cloud.point_step


def _twice(cloud: Any) -> None:
    cloud.fields = [*cloud.fields, PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=1)]


def _no_frame(cloud: Any) -> None:
    cloud.header.frame_id = ""


def malformed(message: Any) -> dict[str, Change]:
    """Ways to break a cloud that the node has to refuse, by name."""
    return {
        "data a byte short": _cut,
        "data a byte long": _grown,
        "no data": _without_data,
        "width a point too large": _wider,
        "point_step 0": _set(point_step=0),
        "row_step too small": _set(row_step=message.row_step - 1),
        "width x point_step beyond 32 bits": _set(width=_UINT32_MAX),
        "offset beyond the point": _field(0, offset=message.point_step),
        "offset 2^32 - 1": _field(2, offset=_UINT32_MAX),
        "datatype 0": _field(0, datatype=0),
        "datatype 99": _field(1, datatype=_UNKNOWN_DATATYPE),
        "count 2^32 - 1": _field(0, count=_UINT32_MAX),
        "two values a field": _field(0, count=2),
        "no field x": _field(0, name="range"),
        "field x twice": _twice,
        "no fields": _set(fields=[]),
        "no frame_id": _no_frame,
        "NaN though is_dense": not_finite(message, 0.1, is_dense=True),
    }


def odd(message: Any) -> dict[str, Change]:
    """Clouds that are strange and yet say what they are: the node has to take them."""
    return {
        "random bytes": noise(message),
        "big endian by mistake": _set(is_bigendian=True, is_dense=False),
        "one point": with_points(points_of(message)[:1]),
    }


def empty(message: Any) -> dict[str, Change]:
    """Clouds of no points."""
    none = with_points(points_of(message)[:0])
    return {"no points": none, "nothing at all": _set(height=0, width=0, row_step=0, fields=[], data=[])}
