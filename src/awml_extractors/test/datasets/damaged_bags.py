"""Small bags of every storage and compression, and deterministic damage to them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC
from awml_extractors.datasets.bag import CloudBag
from awml_extractors.datasets.bag_writer import StampedCloud, write_cloud_bag

TOPIC = "/points"
LAYOUTS = ("sqlite3", "mcap", "mcap_zstd", "mcap_lz4", "sqlite3_file", "mcap_file", "sqlite3_message")
"""Storage, and what is compressed: the chunks of an mcap, the file or every message."""


def make_bag(path: Path, layout: str, messages: Sequence[bytes] = ()) -> Path:
    """A bag of four clouds of 30 points, or of the given CDR bytes."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    storage, _, compression = layout.partition("_")
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    writer = Writer(path, version=8, storage_plugin=plugin)
    if compression:
        modes = {"file": CompressionMode.FILE, "message": CompressionMode.MESSAGE}
        writer.set_compression(modes.get(compression, CompressionMode.STORAGE), CompressionFormat.ZSTD)
    with writer:
        if compression == "lz4":
            import lz4.frame

            # rosbags writes zstd only, but reads the lz4 that other recorders write.
            internals: Any = writer.storage
            internals.compression, internals.compressor = "lz4", lz4.frame.compress
        connection = writer.add_connection(TOPIC, "sensor_msgs/msg/PointCloud2", typestore=store)
        for i, data in enumerate(messages or cloud_messages()):
            writer.write(connection, (i + 1) * 100_000_000, data)
    return path


def cloud_messages() -> list[bytes]:
    """CDR bytes of four clouds of 30 points."""
    rng = np.random.default_rng(0)
    clouds = []
    for i in range(4):
        points = np.zeros(30, POINT_XYZIRC)
        for name in ("x", "y", "z"):
            points[name] = rng.normal(size=len(points))
        clouds.append(StampedCloud(points, i, "lidar"))
    with TemporaryDirectory() as folder:
        write_cloud_bag(Path(folder, "bag"), clouds, topic=TOPIC)
        return [raw for _, raw in CloudBag.open(Path(folder, "bag")).records()]


def storage_file(bag: Path) -> Path:
    """The one file of a bag besides its metadata."""
    (file,) = (path for path in bag.iterdir() if path.name != "metadata.yaml")
    return file


def damaged(content: bytes, seed: object) -> bytes:
    """The content cut off, or with some bytes changed to random, all or no bits."""
    rng = random.Random(str(seed))
    if rng.random() < 0.3:
        return content[: rng.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        start = rng.randrange(len(changed))
        end = min(start + rng.choice([1, 8]), len(changed))
        changed[start:end] = rng.choice([rng.randbytes, lambda n: b"\xff" * n, bytes])(end - start)
    return bytes(changed)
