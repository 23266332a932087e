"""A small seeded street with a spinning LiDAR in it, for demos, tests and benchmarks.

Every solid is an upright box on a slightly sloped ground. The street repeats itself beyond the
LiDAR's range, so a sequence never ends. The same seed and index give the same bits on the same
machine, whichever sweeps were made before.

Command line: ``python -m awml_extractors.datasets.synthetic OUT_BAG --sweeps 100 --seed 0 --beams 64``
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import AwmlDeployError, DatasetError
from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC
from awml_extractors.datasets.bag_writer import STORAGES, StampedCloud, write_cloud_bag
from awml_extractors.datasets.street import EGO_SPEED, STATIC, STREET_LENGTH, furnish

Array = npt.NDArray[np.float64]

CLASS_NAMES = ("CAR", "TRUCK", "PEDESTRIAN")
FRAME_ID = "base_link_lidar"
TOPIC = "/sensing/lidar/concatenated/pointcloud"
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000

_GROUND_SLOPE = (0.008, -0.005)
_GROUND_REFLECTIVITY = 0.15
_MIN_POINTS_ON_BOX = 5


@dataclass(frozen=True)
class Lidar:
    """A spinning LiDAR, level, looking along +x."""

    beams: int = 64
    columns: int = 2048
    """Firings a revolution."""
    lowest: float = -24.8
    """Elevation of the lowest beam [deg]; beams are evenly spaced up to ``highest``."""
    highest: float = 2.0
    height: float = 1.9
    """[m] above the ground."""
    max_range: float = 120.0
    range_noise: float = 0.02
    """Standard deviation [m]."""
    dropout: float = 0.04
    """Share of returns lost at any distance."""


@dataclass(frozen=True, eq=False)
class SyntheticSweep:
    """One revolution in the LiDAR frame (x forward, y left, z up), seen at one instant."""

    points: npt.NDArray[np.void]
    """``POINT_XYZIRC`` [N] in firing order."""
    boxes: Detections
    """Every moving or parked road user that got at least five points; score 1."""
    stamp_ns: int
    pose: Array
    """float64 [4, 4] from the LiDAR frame to the street."""

    @property
    def cloud(self) -> StampedCloud:
        """What a recorder would get."""
        return StampedCloud(self.points, self.stamp_ns, FRAME_ID)


class SyntheticScene:
    """A street made from a seed, observed by a LiDAR that drives along it at 10 Hz."""

    def __init__(self, seed: int = 0, lidar: Lidar | None = None) -> None:
        self.seed = seed
        self.lidar = lidar or Lidar()
        self._solids = furnish(np.random.default_rng(seed))
        azimuths = np.linspace(math.pi, -math.pi, self.lidar.columns, endpoint=False)
        self._directions = np.stack([np.cos(azimuths), np.sin(azimuths)])
        elevations = np.radians(np.linspace(self.lidar.lowest, self.lidar.highest, self.lidar.beams))
        self._slopes = np.tan(elevations)[:, None]
        self._stretch = np.hypot(1.0, self._slopes)

    def sweeps(self, count: int) -> Iterator[SyntheticSweep]:
        """The first ``count`` sweeps, made one at a time."""
        return (self.sweep(index) for index in range(count))

    def sweep(self, index: int) -> SyntheticSweep:
        """The sweep at ``index`` x 0.1 s."""
        time = index * PERIOD_NS * 1e-9
        heading = 0.03 * math.sin(0.2 * time)
        ego_x = EGO_SPEED * time
        solids = self._solids
        along = solids.x + solids.speed * time - ego_x
        along = (along + STREET_LENGTH / 2) % STREET_LENGTH - STREET_LENGTH / 2
        cos, sin = math.cos(heading), math.sin(heading)
        x, y = cos * along + sin * solids.y, cos * solids.y - sin * along
        slope = np.array(
            [
                cos * _GROUND_SLOPE[0] + sin * _GROUND_SLOPE[1],
                cos * _GROUND_SLOPE[1] - sin * _GROUND_SLOPE[0],
            ]
        )
        z = slope[0] * x + slope[1] * y - self.lidar.height + solids.size[:, 2] / 2
        centers, yaws = np.stack([x, y, z], axis=1), solids.yaw - heading
        distances, owner = self._cast(centers, yaws, slope)
        rng = np.random.default_rng([self.seed, index])
        points, counts = self._returns(distances, owner, rng)
        seen = (solids.label != STATIC) & (counts >= _MIN_POINTS_ON_BOX)
        boxes = Detections(
            centers[seen].astype(np.float32),
            solids.size[seen].astype(np.float32),
            np.arctan2(np.sin(yaws[seen]), np.cos(yaws[seen])).astype(np.float32),
            (solids.speed[seen, None] * np.array([cos, -sin])).astype(np.float32),
            np.ones(int(seen.sum()), np.float32),
            solids.label[seen],
            CLASS_NAMES,
        )
        pose = np.eye(4)
        pose[:2, :2] = [[cos, -sin], [sin, cos]]
        pose[:3, 3] = ego_x, 0.0, _GROUND_SLOPE[0] * ego_x + self.lidar.height
        return SyntheticSweep(points, boxes, START_NS + index * PERIOD_NS, pose)

    def _cast(self, centers: Array, yaws: Array, slope: Array) -> tuple[Array, npt.NDArray[np.int32]]:
        """Horizontal distance [beams, columns] to the first hit, and the solid hit (-1 is ground)."""
        with np.errstate(divide="ignore"):
            ground = self.lidar.height / (slope @ self._directions - self._slopes)
        distances = np.where(ground > 0, ground, np.inf)
        owner = np.full(distances.shape, -1, np.int32)
        for i, ((x, y, z), (length, width, height)) in enumerate(
            zip(centers, self._solids.size, strict=True)
        ):
            if math.hypot(x, y) - math.hypot(length, width) / 2 > self.lidar.max_range:
                continue
            columns = self._columns_of(x, y, math.hypot(length, width) / 2)
            cos, sin = math.cos(yaws[i]), math.sin(yaws[i])
            rotation = np.array([[cos, sin], [-sin, cos]])
            with np.errstate(divide="ignore"):
                inverse = 1.0 / (rotation @ self._directions[:, columns])
                vertical = 1.0 / self._slopes
            middle = (rotation @ np.array([x, y]))[:, None] * inverse
            half = np.abs(np.array([[length / 2], [width / 2]]) * inverse)
            near, far = (middle - half).max(axis=0), (middle + half).min(axis=0)
            low, high = (z - height / 2) * vertical, (z + height / 2) * vertical
            enter = np.maximum(near, np.minimum(low, high))
            leave = np.minimum(far, np.maximum(low, high))
            nearest = distances[:, columns]
            hit = (enter <= leave) & (enter > 0) & (enter < nearest)
            distances[:, columns] = np.where(hit, enter, nearest)
            owner[:, columns] = np.where(hit, i, owner[:, columns])
        return distances, owner

    def _columns_of(self, x: float, y: float, radius: float) -> npt.NDArray[np.int64]:
        """Columns that a circle of ``radius`` around (x, y) can cover."""
        distance = math.hypot(x, y)
        reach = math.asin(radius / distance) if radius < distance else math.pi
        step = 2 * math.pi / self.lidar.columns
        middle = (math.pi - math.atan2(y, x)) / step
        first = math.floor(middle - reach / step)
        count = min(math.ceil(2 * reach / step) + 2, self.lidar.columns)
        return np.arange(first, first + count) % self.lidar.columns

    def _returns(
        self, distances: Array, owner: npt.NDArray[np.int32], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
        """Noisy points in firing order, and how many each solid got."""
        lidar = self.lidar
        ranges = distances * self._stretch
        # Far echoes are likelier lost, and those of the ground, which is hit at a grazing angle.
        grazing = np.where(owner < 0, np.minimum(1.0, 30.0 * lidar.height / np.maximum(ranges, 1e-3)), 1.0)
        chance = (1.0 - lidar.dropout) * np.sqrt(grazing) * np.exp(-((ranges / lidar.max_range) ** 4))
        kept = (rng.random(ranges.shape) < chance) & (ranges < lidar.max_range)
        column, beam = np.nonzero(kept.T)
        hit = owner[beam, column]
        true = ranges[beam, column]
        noisy = (true + rng.normal(0.0, lidar.range_noise, true.shape)) / self._stretch[beam, 0]
        reflectivity = np.append(self._solids.reflectivity, _GROUND_REFLECTIVITY)[hit]
        echo = 255.0 * reflectivity * np.exp(-true / 80.0) + rng.normal(0.0, 3.0, true.shape)
        points = np.empty(len(true), POINT_XYZIRC)
        points["x"] = noisy * self._directions[0, column]
        points["y"] = noisy * self._directions[1, column]
        points["z"] = noisy * self._slopes[beam, 0]
        points["intensity"] = np.clip(np.rint(echo), 0, 255)
        points["return_type"] = 1
        points["channel"] = beam
        return points, np.bincount(hit[hit >= 0], minlength=len(self._solids.x))


def lidar_like_points(n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Exactly ``n`` points [n, 4] of one sweep: x, y, z [m], intensity 0 to 255, in firing order.

    Raises:
        DatasetError: ``n`` is negative.
    """
    if n < 0:
        raise DatasetError("lidar_like_points", "negative number of points", got=n)
    beams = 64 if n <= 150_000 else 128
    columns = 64 + math.ceil(1.3 * n / beams)
    while len(points := SyntheticScene(seed, Lidar(beams, columns)).sweep(0).points) < n:
        columns = math.ceil(1.25 * columns)
    chosen = np.sort(np.random.default_rng(seed).choice(len(points), n, replace=False))
    return np.stack(
        [points[name][chosen].astype(np.float32) for name in ("x", "y", "z", "intensity")], axis=1
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a rosbag2 of synthetic sweeps."""
    parser = argparse.ArgumentParser(description="Write a rosbag2 of synthetic LiDAR sweeps at 10 Hz.")
    parser.add_argument("bag", type=Path, metavar="OUT_BAG", help="folder to create")
    parser.add_argument("--sweeps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beams", type=int, default=64)
    parser.add_argument("--topic", default=TOPIC)
    parser.add_argument("--storage", choices=STORAGES, default="sqlite3")
    options = parser.parse_args(arguments)
    if min(options.sweeps, options.beams) < 1:
        parser.error("--sweeps and --beams take at least 1")

    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    scene = SyntheticScene(options.seed, Lidar(beams=options.beams))
    sweeps = track(
        scene.sweeps(options.sweeps),
        "Casting rays",
        options.sweeps,
        console=console,
        disable=not console.is_terminal,
    )
    try:
        written = write_cloud_bag(
            options.bag, (sweep.cloud for sweep in sweeps), topic=options.topic, storage=options.storage
        )
    except AwmlDeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"{options.bag}: {written} sweeps on {options.topic}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
