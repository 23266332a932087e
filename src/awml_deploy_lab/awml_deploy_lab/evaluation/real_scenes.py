"""Labelled real sweeps in the frame that the models expect: ``base_link``, on the ground below the sensor.

The sensor's mounting is applied as a rigid transform, which is calibration; nothing is fitted to the
data. nuScenes' info file holds the mounting; KITTI's HDL-64E is 1.73 m above the ground (Geiger et al.,
"Vision meets robotics: The KITTI dataset", IJRR 2013, figure 1), level as far as is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import DatasetError
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.points import PointColumns
from awml_deploy_lab.evaluation.labelled_view import Everywhere, LabelledImage
from awml_extractors.datasets.info_file import AUTOWARE_CLASSES
from awml_extractors.datasets.infos import open_infos
from awml_extractors.datasets.kitti import read_kitti
from awml_extractors.datasets.kitti_labels import KittiCalibration, read_kitti_labels

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

KITTI_HEIGHT = 1.73
"""Of KITTI's LiDAR above the ground [m]."""
MOST_OCCLUDED, MOST_TRUNCATED, FEWEST_POINTS = 1, 0.5, 1
"""Labels that count: KITTI's with at most this occlusion and less than this truncation; nuScenes' with
at least this number of points."""


class LabelledView(Protocol):
    """Where a data set's annotators labelled everything."""

    def judges(self, boxes: Detections) -> Mask:
        """bool [N]: whether a label would be there, if a box of ``base_link`` were right."""


@dataclass(frozen=True, eq=False)
class RealScene:
    """One labelled sweep in ``base_link``."""

    name: str
    dataset: str
    columns: PointColumns
    truth: GroundTruth
    counted: Mask
    """bool [M]: labels that a detector has to find; others are neither found nor missed."""
    facts: tuple[Mapping[str, object], ...]
    """What the data set says of each of the M labels, for the reader of a result."""
    view: LabelledView
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Number of objects by type that no class of the model stands for."""


def real_scenes(assets: Path) -> Iterator[RealScene]:
    """The scenes of the folders ``kitti`` and ``nuscenes``, each read when it is its turn.

    Raises:
        DatasetError: Neither folder has a labelled sweep, or a file is missing or malformed.
        PointCloudError: No point of a sweep is finite.
    """
    labels = sorted((assets / "kitti" / "label_2").glob("*.txt"))
    infos = sorted((assets / "nuscenes").glob("*.pkl"))
    if not labels and not infos:
        raise DatasetError(
            assets,
            "no labelled sweeps",
            expected="kitti/label_2/*.txt with calib and velodyne, or nuscenes/*.pkl with its clouds",
        )
    for path in labels:
        yield _kitti_scene(assets / "kitti", path.stem)
    for path in infos:
        yield from _nuscenes_scenes(path)


def count_real_scenes(assets: Path) -> int:
    """How many scenes there are to come, for a progress bar; info files count as one."""
    return sum(1 for part in ("kitti/label_2/*.txt", "nuscenes/*.pkl") for _ in assets.glob(part))


def _kitti_scene(folder: Path, name: str) -> RealScene:
    calibration = KittiCalibration.read(folder / "calib" / f"{name}.txt")
    labels = read_kitti_labels(folder / "label_2" / f"{name}.txt", calibration)
    mounting = np.eye(4)
    mounting[2, 3] = KITTI_HEIGHT
    columns = mounted_columns(mounting, read_kitti(folder / "velodyne" / f"{name}.bin"))
    boxes = mounted_boxes(mounting, labels.ground_truth.boxes)
    truth = replace(labels.ground_truth, boxes=boxes, num_points=points_in_boxes(columns, boxes))
    facts = tuple(
        {"type": kind, "occlusion": int(occlusion), "truncation": float(truncation)}
        for kind, occlusion, truncation in zip(
            labels.types, labels.occlusion, labels.truncation, strict=True
        )
    )
    return RealScene(
        f"kitti_{name}",
        "kitti",
        columns,
        truth,
        (labels.occlusion <= MOST_OCCLUDED) & (labels.truncation < MOST_TRUNCATED),
        facts,
        LabelledImage(calibration, np.linalg.inv(mounting).astype(np.float64), labels.ignored_regions),
        labels.left_out,
    )


def _nuscenes_scenes(path: Path) -> Iterator[RealScene]:
    samples = open_infos(path, class_mapping=AUTOWARE_CLASSES)
    for position, sample in enumerate(samples):
        mounting = samples.info.entry(position).node("lidar_points").pose("lidar2ego")
        if sample.ground_truth is None:
            raise DatasetError(f"{path}: data_list[{position}]", "has no labels", expected="instances")
        truth = replace(sample.ground_truth, boxes=mounted_boxes(mounting, sample.ground_truth.boxes))
        yield RealScene(
            f"nuscenes_{sample.sample_id}",
            "nuscenes",
            mounted_columns(mounting, sample.input.sweeps[0].columns),
            truth,
            truth.num_points >= FEWEST_POINTS,
            ({},) * len(truth),
            Everywhere(),
        )


def mounted_columns(mounting: Matrix, columns: PointColumns) -> PointColumns:
    """A cloud moved by a rigid transform, float64 [4, 4]; coordinates float32."""
    points = np.stack([columns.x, columns.y, columns.z], axis=1).astype(np.float64)
    x, y, z = (points @ mounting[:3, :3].T + mounting[:3, 3]).astype(np.float32).T
    return PointColumns(x, y, z, columns.intensity)


def mounted_boxes(mounting: Matrix, boxes: Detections) -> Detections:
    """Boxes moved by a rigid transform, float64 [4, 4]; they stay upright."""
    rotation = mounting[:3, :3]
    flat = np.zeros(len(boxes))
    forward = np.column_stack([np.cos(boxes.yaws), np.sin(boxes.yaws), flat]) @ rotation.T
    velocities = np.column_stack([boxes.velocities, flat]) @ rotation.T
    return replace(
        boxes,
        centers=(boxes.centers @ rotation.T + mounting[:3, 3]).astype(np.float32),
        yaws=np.arctan2(forward[:, 1], forward[:, 0]).astype(np.float32),
        velocities=velocities[:, :2].astype(np.float32),
    )


def points_in_boxes(columns: PointColumns, boxes: Detections) -> npt.NDArray[np.int32]:
    """int32 [M]: points of a cloud in each box."""
    points = np.stack([columns.x, columns.y, columns.z])
    counts = np.zeros(len(boxes), np.int32)
    for i, (center, size, yaw) in enumerate(zip(boxes.centers, boxes.sizes, boxes.yaws, strict=True)):
        x, y, z = points - center[:, None]
        along, across = np.cos(yaw) * x + np.sin(yaw) * y, np.cos(yaw) * y - np.sin(yaw) * x
        inside = [np.abs(part) <= half for part, half in zip((along, across, z), size / 2, strict=True)]
        counts[i] = np.logical_and.reduce(inside).sum()
    return counts
