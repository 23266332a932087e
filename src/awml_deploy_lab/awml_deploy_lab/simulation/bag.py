"""Simulated sweeps as the bag that an Autoware vehicle would record of the drive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, tee
from pathlib import Path

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import BagError
from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC, POINT_XYZIRCAEDT
from awml_deploy_lab.simulation.infos import BASE_FRAME, InfoRecorder
from awml_deploy_lab.simulation.rigid_motion import Matrix, body_twist
from awml_deploy_lab.simulation.sweep import SimulatedSweep
from awml_extractors.datasets.bag_messages import StampedCloud, StampedOdometry, StampedTransform
from awml_extractors.datasets.bag_writer import TopicStream, write_bag
from awml_extractors.datasets.infos import BAG_INFO_ENDING

# Autoware's return type.
_SINGLE_STRONGEST = 1
_POSE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class BagLayout:
    """Topics, frames and timing of a recorded drive."""

    cloud_topic: str = "/sensing/lidar/concatenated/pointcloud"
    """PointXYZIRC in ``base_link``, ego motion removed."""
    raw_topic: str = "/sensing/lidar/top/pointcloud_raw_ex"
    """PointXYZIRCAEDT in the frame of the sensor, as measured."""
    odometry_topic: str = "/localization/kinematic_state"
    map_frame: str = "map"
    lidar_frame: str = "lidar_top"
    pose_period_ns: int = 10_000_000
    """Between two transforms, and two odometry messages [ns]."""
    margin_ns: int = 300_000_000
    """How long poses are recorded before the first and after the last cloud [ns]."""
    cloud_delay_ns: int = 100_000_000
    """From the stamp of a cloud, the start of its revolution, to its reception [ns]."""


DEFAULT_LAYOUT = BagLayout()


def write_simulated_bag(
    path: Path,
    sweeps: Iterable[SimulatedSweep],
    pose_at: Callable[[int], Matrix],
    *,
    raw: bool = False,
    storage: str = "sqlite3",
    layout: BagLayout = DEFAULT_LAYOUT,
) -> dict[str, int]:
    """Write clouds, ``/tf``, ``/tf_static`` and odometry, and return the messages of each topic.

    The bag appears complete or not at all, and after it ``<path>.infos.pkl`` with the ground truth
    of every sweep, which :func:`awml_extractors.datasets.infos.ground_truth_by_stamp` reads.

    Args:
        path: Folder to create.
        sweeps: In order of their stamps; may be a generator, of which a few sweeps are held at once.
        pose_at: From a time [ns] to the pose of ``base_link`` in the map, float64 [4, 4]. Asked up to
            ``margin_ns`` and a pose period before the first and after the last cloud's reception.
        raw: Whether to record the distorted clouds as well.
        storage: ``sqlite3`` or ``mcap``.
        layout: Topics, frames and timing.

    Raises:
        BagError: The bag or its info file exists or cannot be written, there is no sweep, sweeps are
            not in order, the sensor moves on the vehicle, or ``pose_at`` contradicts a sweep.
        DatasetError: A sweep has other classes than the first.
        ArtifactError: The info file cannot be written.
        MissingDependencyError: rosbags is not installed.
    """
    info_path = path.with_name(path.name + BAG_INFO_ENDING)
    if info_path.exists():
        raise BagError(info_path, "exists already", hint="Remove it or choose another path.")
    if not 0 < layout.pose_period_ns <= layout.margin_ns:
        raise BagError(
            path,
            "margin is shorter than a pose period",
            got=layout.margin_ns,
            expected=layout.pose_period_ns,
        )
    iterator = iter(sweeps)
    first = next(iterator, None)
    if first is None:
        raise BagError(path, "no sweep to write")
    drive = _Drive(path, first, pose_at, layout)
    poses, odometry = tee(drive.pose_stamps())
    mounting = StampedTransform(first.lidar_to_base, drive.start_ns, BASE_FRAME, layout.lidar_frame)
    streams = [
        TopicStream("/tf_static", StampedTransform, [mounting], latched=True),
        TopicStream("/tf", StampedTransform, map(drive.transform, poses)),
        TopicStream(layout.odometry_topic, StampedOdometry, map(drive.odometry, odometry)),
        TopicStream(layout.cloud_topic, StampedCloud, drive.corrected(chain([first], iterator), raw)),
    ]
    if raw:
        streams.append(TopicStream(layout.raw_topic, StampedCloud, drive.measured()))
    written = write_bag(path, streams, storage=storage)
    drive.infos.write(info_path)
    return written


class _Drive:
    """What the streams of one bag share: where the vehicle is, and how far the sweeps have come."""

    def __init__(
        self, path: Path, first: SimulatedSweep, pose_at: Callable[[int], Matrix], layout: BagLayout
    ) -> None:
        self.infos = InfoRecorder()
        self._path, self._pose_at, self._layout = path, pose_at, layout
        self._mounting = first.lidar_to_base
        self._waiting: deque[SimulatedSweep] = deque()
        period = layout.pose_period_ns
        self.start_ns = (first.stamp_ns - layout.margin_ns) // period * period
        self._received_ns = first.stamp_ns + layout.cloud_delay_ns

    def corrected(self, sweeps: Iterable[SimulatedSweep], raw: bool) -> Iterator[StampedCloud]:
        """The corrected clouds of the sweeps, which are checked and recorded as they pass.

        With ``raw``, each sweep also waits until :meth:`measured` is asked for it.
        """
        for index, sweep in enumerate(sweeps):
            self._check(index, sweep)
            self.infos.add(sweep)
            self._received_ns = sweep.stamp_ns + self._layout.cloud_delay_ns
            if raw:
                self._waiting.append(sweep)
            points = np.empty(len(sweep.xyz), POINT_XYZIRC)
            _fill(points, sweep.xyz, sweep)
            yield self._cloud(points, sweep, BASE_FRAME)

    def measured(self) -> Iterator[StampedCloud]:
        """The raw clouds; a stream after that of the corrected ones, which is always ahead."""
        while self._waiting:
            sweep = self._waiting.popleft()
            points = np.empty(len(sweep.raw_xyz), POINT_XYZIRCAEDT)
            _fill(points, sweep.raw_xyz, sweep)
            x, y, z = sweep.raw_xyz.astype(np.float64).T
            level = np.hypot(x, y)
            points["azimuth"] = np.arctan2(y, x) % (2 * np.pi)
            points["elevation"] = np.arctan2(z, level)
            points["distance"] = np.hypot(level, z)
            points["time_stamp"] = np.rint(sweep.time.astype(np.float64) * 1e9)
            yield self._cloud(points, sweep, self._layout.lidar_frame)

    def pose_stamps(self) -> Iterator[int]:
        """Times of poses [ns], until a margin after the last cloud.

        The next cloud is always known before the poses that precede it are asked for, since streams
        of a bag are merged one item ahead.
        """
        stamp_ns = self.start_ns
        while stamp_ns <= self._received_ns + self._layout.margin_ns:
            yield stamp_ns
            stamp_ns += self._layout.pose_period_ns

    def transform(self, stamp_ns: int) -> StampedTransform:
        return StampedTransform(self._pose_at(stamp_ns), stamp_ns, self._layout.map_frame, BASE_FRAME)

    def odometry(self, stamp_ns: int) -> StampedOdometry:
        linear, angular = body_twist(self._pose_at, stamp_ns, self._layout.pose_period_ns)
        pose = self._pose_at(stamp_ns)
        return StampedOdometry(pose, linear, angular, stamp_ns, self._layout.map_frame, BASE_FRAME)

    def _check(self, index: int, sweep: SimulatedSweep) -> None:
        subject = f"{self._path}: sweep {index}"
        if not np.array_equal(sweep.lidar_to_base, self._mounting):
            raise BagError(subject, "sensor is mounted elsewhere than in the first sweep")
        difference = np.abs(self._pose_at(sweep.stamp_ns) - sweep.pose).max()
        if not difference < _POSE_TOLERANCE:
            raise BagError(
                subject,
                "pose differs from that of the drive",
                got=f"{difference:g}",
                expected=f"less than {_POSE_TOLERANCE:g}",
            )

    def _cloud(self, points: npt.NDArray[np.void], sweep: SimulatedSweep, frame_id: str) -> StampedCloud:
        received_ns = sweep.stamp_ns + self._layout.cloud_delay_ns
        return StampedCloud(points, sweep.stamp_ns, frame_id, received_ns)


def _fill(points: npt.NDArray[np.void], xyz: npt.NDArray[np.float32], sweep: SimulatedSweep) -> None:
    points["x"], points["y"], points["z"] = xyz.T
    points["intensity"], points["channel"] = sweep.intensity, sweep.beam
    points["return_type"] = _SINGLE_STRONGEST
