"""Write point clouds as a rosbag2 that ROS 2 from Humble on reads, without ROS."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import BagError, MissingDependencyError
from awml_deploy_core.files import fsync_tree
from awml_deploy_core.pointcloud2_fields import fields_of
from awml_extractors.datasets.bag import POINT_CLOUD_TYPE

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

STORAGES = ("sqlite3", "mcap")

# rosbag2 metadata version: 9 writes QoS profiles in a form that Humble cannot parse.
_VERSION: Literal[8] = 8


@dataclass(frozen=True, eq=False)
class StampedCloud:
    """One sweep to record."""

    points: npt.NDArray[np.void]
    """Structured array [N]; its fields become the message's, e.g. ``POINT_XYZIRC`` records."""
    stamp_ns: int
    """Header stamp and reception time [ns]."""
    frame_id: str


def write_cloud_bag(
    path: Path, clouds: Iterable[StampedCloud], *, topic: str, storage: str = "sqlite3"
) -> int:
    """Write the clouds of one topic and return how many there were.

    The bag appears under ``path`` complete or not at all; ``clouds`` may be a generator.

    Raises:
        BagError: ``path`` exists, cannot be written, or ``storage`` is unknown.
        PointCloudError: A point has a field type that PointCloud2 cannot hold.
        MissingDependencyError: rosbags is not installed.
    """
    if find_spec("rosbags") is None:
        raise MissingDependencyError(
            "rosbags",
            "not installed",
            expected="rosbags to write a bag",
            hint='pip install "rosbags>=0.11"',
        )
    if storage not in STORAGES:
        raise BagError(path, "unknown storage", got=storage, expected=" or ".join(STORAGES))
    if path.exists():
        raise BagError(path, "exists already", hint="Remove it or choose another path.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The storage file is named after its folder, so the temporary folder is one level up.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
            written = _write(Path(scratch) / path.name, clouds, topic, storage)
            fsync_tree(Path(scratch))
            os.replace(Path(scratch) / path.name, path)
    except OSError as error:
        raise BagError(path, "cannot be written", got=error.strerror or error) from error
    return written


def _write(path: Path, clouds: Iterable[StampedCloud], topic: str, storage: str) -> int:
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    count = 0
    with Writer(path, version=_VERSION, storage_plugin=plugin) as writer:
        connection = writer.add_connection(topic, POINT_CLOUD_TYPE, typestore=store)
        for cloud in clouds:
            message = _message(store, cloud)
            writer.write(connection, cloud.stamp_ns, store.serialize_cdr(message, POINT_CLOUD_TYPE))
            count += 1
    return count


def _message(store: Typestore, cloud: StampedCloud) -> Any:
    types: Any = store.types
    points = np.ascontiguousarray(cloud.points)
    seconds, nanoseconds = divmod(cloud.stamp_ns, 1_000_000_000)
    make_field = types["sensor_msgs/msg/PointField"]
    return types[POINT_CLOUD_TYPE](
        header=types["std_msgs/msg/Header"](
            stamp=types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds),
            frame_id=cloud.frame_id,
        ),
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
