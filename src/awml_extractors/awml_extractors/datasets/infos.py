"""Info files as samples: the current sweep, past sweeps in its frame, and the boxes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import DatasetError
from awml_deploy_core.family import LazySamples, Sample
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_extractors.datasets.info_file import ClassTable, InfoFile, ground_truth_of
from awml_extractors.datasets.info_node import InfoNode
from awml_extractors.datasets.records import read_records, require_finite

_LOG = logging.getLogger(__name__)

INFO_ENDING = ".pkl"
BAG_INFO_ENDING = ".infos.pkl"
"""What the path of a bag is extended with for the info file of its ground truth."""

# Where nuScenes keeps the sweeps that its info files name without their folder.
_SUBFOLDERS = ("samples/LIDAR_TOP", "sweeps/LIDAR_TOP")


def open_infos(
    path: Path,
    *,
    num_past_sweeps: int = 0,
    data_root: Path | None = None,
    class_mapping: Mapping[str, str] | None = None,
    class_names: Sequence[str] | None = None,
) -> InfoSamples:
    """The samples of an info file, each loaded when it is indexed.

    Args:
        num_past_sweeps: At most this many past sweeps a frame, the latest first; the first frames
            of a drive have fewer.
        data_root: Folder that the file's paths of clouds are relative to; none is that of the file.
            A cloud that is not there is looked for by its name alone.
        class_mapping: As of :meth:`InfoFile.class_table`, e.g. ``AUTOWARE_CLASSES``.
        class_names: As of :meth:`InfoFile.class_table`.

    Raises:
        DatasetError: The file is missing, malformed or empty, or the classes do not fit it. Also
            raised on indexing, for an entry or a cloud that is malformed.
        PointCloudError: On indexing: a cloud has no finite point.
    """
    if num_past_sweeps < 0:
        raise DatasetError(path, "number of past sweeps is negative", got=num_past_sweeps)
    info = InfoFile.read(path)
    if not info.entries:
        raise DatasetError(path, "no sample in the info file")
    classes = info.class_table(class_mapping, class_names)
    if classes.left_out:
        _LOG.info("%s: boxes left out of categories %s", path, ", ".join(classes.left_out))
    root = path.parent if data_root is None else data_root
    return InfoSamples(info, classes, root, num_past_sweeps)


def ground_truth_by_stamp(
    path: Path,
    class_mapping: Mapping[str, str] | None = None,
    class_names: Sequence[str] | None = None,
) -> dict[int, GroundTruth]:
    """The ground truth of every annotated sample by its stamp [ns], e.g. to score a replayed bag.

    Args:
        path: An info file, or a bag that has one beside it: its path with ``.infos.pkl`` added.
        class_mapping: As of :meth:`InfoFile.class_table`.
        class_names: As of :meth:`InfoFile.class_table`.

    Raises:
        DatasetError: There is no such file, it is malformed, or two samples have one stamp.
    """
    file = path if path.suffix == INFO_ENDING else path.with_name(path.name + BAG_INFO_ENDING)
    info = InfoFile.read(file)
    classes = info.class_table(class_mapping, class_names)
    found: dict[int, GroundTruth] = {}
    for index in range(len(info.entries)):
        entry = info.entry(index)
        stamp_ns, truth = entry.stamp_ns(), ground_truth_of(entry, classes)
        if stamp_ns in found:
            raise DatasetError(entry.place, "stamp of an earlier sample", got=f"{stamp_ns} ns")
        if truth is not None:
            found[stamp_ns] = truth
    return found


def bag_ground_truth(
    bag: Path,
    class_mapping: Mapping[str, str] | None = None,
    class_names: Sequence[str] | None = None,
) -> dict[int, GroundTruth]:
    """As :func:`ground_truth_by_stamp`, of a bag's folder or storage file; empty if it has none beside it.

    Raises:
        DatasetError: The info file beside it is malformed, or two samples have one stamp.
    """
    folder = bag if bag.is_dir() else bag.parent
    if not folder.with_name(folder.name + BAG_INFO_ENDING).is_file():
        return {}
    return ground_truth_by_stamp(folder, class_mapping, class_names)


@dataclass(frozen=True, eq=False)
class InfoSamples(LazySamples):
    """One sample an entry, identified by its position and stamp [ns] like those of a bag."""

    info: InfoFile
    classes: ClassTable
    data_root: Path
    num_past_sweeps: int = 0

    def __len__(self) -> int:
        return len(self.info.entries)

    def _load(self, index: int) -> Sample:
        entry = self.info.entry(index)
        stamp_ns = entry.stamp_ns()
        sweeps = [Sweep(self._columns(entry))]
        for past in entry.nodes("lidar_sweeps"):
            if len(sweeps) > self.num_past_sweeps:
                break
            lag = (stamp_ns - past.stamp_ns()) * 1e-9
            sweeps.append(Sweep(self._columns(past, entry), lag, _transform(past, entry)))
        frame = PointCloudFrame(tuple(sweeps), self.info.frame_id, stamp_ns)
        return Sample(f"{index:06d}_{stamp_ns}", frame, ground_truth_of(entry, self.classes))

    def _columns(self, sweep: InfoNode, current: InfoNode | None = None) -> PointColumns:
        """The cloud of an entry or of one of its past sweeps, which may leave its format to the entry."""
        points = sweep.node("lidar_points")
        layout = points if current is None or "num_pts_feats" in points else current.node("lidar_points")
        values = layout.integer("num_pts_feats", at_least=4) if "num_pts_feats" in layout else 5
        path = self._find(points, points.text("lidar_path"))
        return require_finite(path, PointColumns.from_array(read_records(path, values)[:, :4]))

    def _find(self, points: InfoNode, written: str) -> Path:
        name = PurePosixPath(written.replace("\\", "/")).name
        tried = [self.data_root / written, self.data_root / name]
        tried += [self.data_root / folder / name for folder in _SUBFOLDERS]
        for path in tried:
            # What is too long for a path is not there.
            with suppress(OSError):
                if path.is_file():
                    return path
        raise DatasetError(
            f"{points.place}.lidar_path",
            "no such cloud file",
            got=written,
            expected="one of " + ", ".join(str(path) for path in tried),
            hint=f"Name the folder it is relative to: {self.info.path}?root=FOLDER.",
        )


def _transform(past: InfoNode, current: InfoNode) -> npt.NDArray[np.float64]:
    """float64 [4, 4] from the cloud of a past sweep into the current one.

    The mounting is taken from the current sweep for both: AWML wrote the whole transform into the
    past sweep's ``lidar2ego`` until 2026, so that composing with it counts the ego motion twice.
    ``lidar2sensor`` decides only where there is no pose, since mmdetection3d before 1.1.0 wrote its
    translation in the wrong frame.
    """
    if "ego2global" not in past and "lidar2sensor" in past.node("lidar_points"):
        return _inverse(past.node("lidar_points").pose("lidar2sensor"))
    mounting = current.node("lidar_points").pose("lidar2ego")
    to_global = past.pose("ego2global") @ mounting
    return _inverse(current.pose("ego2global") @ mounting) @ to_global


def _inverse(pose: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.linalg.inv(pose).astype(np.float64, copy=False)
