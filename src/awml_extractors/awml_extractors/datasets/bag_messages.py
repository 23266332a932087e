"""What a bag can record, and how each becomes a ROS 2 message, without ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import BagError
from awml_deploy_core.pointcloud2_fields import fields_of
from awml_extractors.datasets.bag import POINT_CLOUD_TYPE

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

TRANSFORM_TYPE = "tf2_msgs/msg/TFMessage"
ODOMETRY_TYPE = "nav_msgs/msg/Odometry"

Matrix: TypeAlias = npt.NDArray[np.float64]

_RIGID_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class StampedCloud:
    """One sweep to record."""

    points: npt.NDArray[np.void]
    """Structured array [N]; its fields become the message's, e.g. ``POINT_XYZIRC`` records."""
    stamp_ns: int
    """Header stamp [ns]."""
    frame_id: str
    received_ns: int | None = None
    """When the recorder gets it [ns]; none is at its stamp."""


@dataclass(frozen=True, eq=False)
class StampedTransform:
    """The pose of one frame in another, to record on ``/tf`` or ``/tf_static``."""

    matrix: Matrix
    """float64 [4, 4]: from ``child_frame_id`` to ``frame_id``."""
    stamp_ns: int
    """Header stamp [ns]."""
    frame_id: str
    child_frame_id: str
    received_ns: int | None = None
    """As of a :class:`StampedCloud`."""


@dataclass(frozen=True, eq=False)
class StampedOdometry:
    """Pose and velocity of a vehicle, to record. Covariances are zero, which is unknown."""

    matrix: Matrix
    """float64 [4, 4]: from ``child_frame_id`` to ``frame_id``."""
    linear: Matrix
    """float64 [3] [m/s]: in ``child_frame_id``."""
    angular: Matrix
    """float64 [3] [rad/s]: in ``child_frame_id``."""
    stamp_ns: int
    """Header stamp [ns]."""
    frame_id: str
    child_frame_id: str
    received_ns: int | None = None
    """As of a :class:`StampedCloud`."""


Stamped: TypeAlias = StampedCloud | StampedTransform | StampedOdometry

MESSAGE_TYPES: dict[type, str] = {
    StampedCloud: POINT_CLOUD_TYPE,
    StampedTransform: TRANSFORM_TYPE,
    StampedOdometry: ODOMETRY_TYPE,
}
"""Type of the message that records each."""


def received_at(item: Stamped) -> int:
    """When the recorder gets it [ns]."""
    return item.stamp_ns if item.received_ns is None else item.received_ns


def message_of(store: Typestore, item: Stamped) -> Any:
    """The message of a typestore that records ``item``.

    Raises:
        PointCloudError: A point has a field type that PointCloud2 cannot hold.
        BagError: A matrix is no rigid transform, or a velocity is not finite.
    """
    if isinstance(item, StampedCloud):
        return _cloud(store.types, item)
    if isinstance(item, StampedTransform):
        return _transforms(store.types, item)
    return _odometry(store.types, item)


def quaternion_of(rotation: Matrix) -> Matrix:
    """Unit quaternion x, y, z, w with w >= 0 of a rotation matrix, float64 [4] of [3, 3]."""
    # The symmetric matrix whose largest eigenvector is the quaternion: no case is ill-conditioned.
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx - yy - zz, 0.0, 0.0, 0.0],
            [yx + xy, yy - xx - zz, 0.0, 0.0],
            [zx + xz, zy + yz, zz - xx - yy, 0.0],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    quaternion: Matrix = np.linalg.eigh(symmetric)[1][:, -1]
    return -quaternion if quaternion[3] < 0 else quaternion


def _header(types: Any, item: Stamped) -> Any:
    seconds, nanoseconds = divmod(item.stamp_ns, 1_000_000_000)
    return types["std_msgs/msg/Header"](
        stamp=types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds),
        frame_id=item.frame_id,
    )


def _cloud(types: Any, cloud: StampedCloud) -> Any:
    points = np.ascontiguousarray(cloud.points)
    make_field = types["sensor_msgs/msg/PointField"]
    return types[POINT_CLOUD_TYPE](
        header=_header(types, cloud),
        height=1,
        width=len(points),
        fields=[
            make_field(name=field.name, offset=field.offset, datatype=field.datatype, count=field.count)
            for field in fields_of(points.dtype)
        ],
        is_bigendian=False,
        point_step=points.dtype.itemsize,
        row_step=points.dtype.itemsize * len(points),
        data=points.view(np.uint8).reshape(-1),
        is_dense=True,
    )


def _transforms(types: Any, item: StampedTransform) -> Any:
    translation, rotation = _pose_parts(types, item)
    stamped = types["geometry_msgs/msg/TransformStamped"](
        header=_header(types, item),
        child_frame_id=item.child_frame_id,
        transform=types["geometry_msgs/msg/Transform"](
            translation=_vector(types, translation), rotation=rotation
        ),
    )
    return types[TRANSFORM_TYPE](transforms=[stamped])


def _odometry(types: Any, item: StampedOdometry) -> Any:
    if not (np.isfinite(item.linear).all() and np.isfinite(item.angular).all()):
        raise BagError(
            f"odometry at {item.stamp_ns} ns", "velocity is not finite", got=[*item.linear, *item.angular]
        )
    position, orientation = _pose_parts(types, item)
    x, y, z = map(float, position)
    return types[ODOMETRY_TYPE](
        header=_header(types, item),
        child_frame_id=item.child_frame_id,
        pose=types["geometry_msgs/msg/PoseWithCovariance"](
            pose=types["geometry_msgs/msg/Pose"](
                position=types["geometry_msgs/msg/Point"](x=x, y=y, z=z), orientation=orientation
            ),
            covariance=np.zeros(36),
        ),
        twist=types["geometry_msgs/msg/TwistWithCovariance"](
            twist=types["geometry_msgs/msg/Twist"](
                linear=_vector(types, item.linear), angular=_vector(types, item.angular)
            ),
            covariance=np.zeros(36),
        ),
    )


def _pose_parts(types: Any, item: StampedTransform | StampedOdometry) -> tuple[Matrix, Any]:
    """Translation [3] and a Quaternion message."""
    matrix = np.asarray(item.matrix, np.float64)
    subject = f"transform {item.frame_id} -> {item.child_frame_id} at {item.stamp_ns} ns"
    if matrix.shape != (4, 4):
        raise BagError(subject, "wrong shape", got=matrix.shape, expected="[4, 4]")
    rotation = matrix[:3, :3]
    error = np.abs(rotation @ rotation.T - np.eye(3)).max() + np.abs(matrix[3] - [0, 0, 0, 1]).max()
    # Written so that NaN is refused.
    if not (error < _RIGID_TOLERANCE and np.linalg.det(rotation) > 0 and np.isfinite(matrix).all()):
        raise BagError(
            subject, "not a rigid transform", got=matrix.tolist(), expected="a rotation and a translation"
        )
    x, y, z, w = map(float, quaternion_of(rotation))
    return matrix[:3, 3], types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w)


def _vector(types: Any, values: Matrix) -> Any:
    x, y, z = map(float, values)
    return types["geometry_msgs/msg/Vector3"](x=x, y=y, z=z)
