"""Info files: the samples of a data set with poses and boxes, as mmdetection3d 1.1 and AWML write them.

A pickle of ``{"metainfo": {...}, "data_list": [...]}``. Boxes are in the frame of the sample's
cloud, their z is that of the geometric centre: true of nuScenes, Lyft and T4 files, to which
mmdetection3d gives the origin (0.5, 0.5, 0.5). Files of KITTI, Waymo and indoor data sets share
the container but not these conventions and are refused.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import DatasetError
from awml_deploy_core.ground_truth import GroundTruth
from awml_extractors.datasets.info_node import InfoNode
from awml_extractors.datasets.safe_pickle import PlainArray, read_plain_pickle

FloatArray: TypeAlias = npt.NDArray[np.float64]

AUTOWARE_CLASSES: dict[str, str] = {
    "car": "CAR",
    "emergency_vehicle": "CAR",
    "truck": "TRUCK",
    "trailer": "TRUCK",
    "construction_vehicle": "TRUCK",
    "bus": "BUS",
    "bicycle": "BICYCLE",
    "motorcycle": "BICYCLE",
    "pedestrian": "PEDESTRIAN",
}
"""Class of Autoware's models for each category of nuScenes and T4 files that has one."""

# What no coordinate or velocity exceeds, far inside float32; also refuses NaN.
_FAR = 1e7
_FOREIGN = ("kitti", "waymo", "sunrgbd", "scannet", "s3dis", "semantickitti")


@dataclass(frozen=True)
class ClassTable:
    """Which class each category of a file is to a model."""

    class_names: tuple[str, ...]
    """Classes of the model in its order."""
    index_of: Mapping[int, int]
    """Index into ``class_names`` by label of the file; labels that are missing are left out."""
    left_out: tuple[str, ...]
    """Categories of the file that are none of the model's classes."""


@dataclass(frozen=True, eq=False)
class InfoFile:
    """An info file that has been read; its entries are checked when they are asked for."""

    path: Path
    categories: Mapping[str, int]
    """Label of every category; -1 is for those that the converter ignored."""
    frame_id: str
    """Frame of the clouds, if the file says it, else empty."""
    entries: Sequence[Any]

    @classmethod
    def read(cls, path: Path) -> InfoFile:
        """Read a file whole.

        Raises:
            DatasetError: The file is missing, damaged, unsafe, no info file, or of a data set with
                other conventions.
        """
        content = InfoNode.of(str(path), read_plain_pickle(path))
        if not {"metainfo", "data_list"} <= set(content.values):
            raise DatasetError(
                path,
                "no info file",
                got=f"keys {reprlib.repr(list(content.values))}",
                expected="metainfo and data_list",
                hint="Files of mmdetection3d before 1.1 need its update_infos_to_v2.py.",
            )
        metainfo, entries = content.node("metainfo"), content.values["data_list"]
        if not isinstance(entries, list):
            raise content.error("data_list", "not a list", "a list of samples")
        dataset = str(metainfo.values.get("dataset") or "").lower()
        if dataset in _FOREIGN:
            raise DatasetError(
                path,
                "info file of a data set with other box conventions",
                got=dataset,
                expected="nuScenes, Lyft or T4",
            )
        frame_id = metainfo.text("frame_id") if "frame_id" in metainfo else ""
        return cls(path, _categories(metainfo), frame_id, entries)

    def entry(self, index: int) -> InfoNode:
        """The sample at ``index``, 0 to ``len(entries)`` - 1.

        Raises:
            DatasetError: It is no mapping.
        """
        return InfoNode.of(f"{self.path}: data_list[{index}]", self.entries[index])

    def class_table(
        self,
        class_mapping: Mapping[str, str] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> ClassTable:
        """Choose the classes of the boxes.

        Args:
            class_mapping: Class of each category that has one; none takes categories as they are.
            class_names: Classes in the model's order; none takes them as they come. A category of
                another class is left out.

        Raises:
            DatasetError: No category has one of the classes.
        """
        labels = {name: label for name, label in self.categories.items() if label >= 0}
        mapping = {name: name for name in labels} if class_mapping is None else class_mapping
        names = tuple(class_names if class_names is not None else dict.fromkeys(mapping.values()))
        index_of = {
            label: names.index(mapping[name])
            for name, label in labels.items()
            if mapping.get(name) in names
        }
        if labels and not index_of:
            raise DatasetError(
                self.path,
                "no category is one of the model's classes",
                got=", ".join(labels),
                expected=f"a category that is or is mapped to one of {', '.join(names)}",
            )
        left_out = tuple(name for name in self.categories if self.categories[name] not in index_of)
        return ClassTable(names, index_of, left_out)


def ground_truth_of(entry: InfoNode, classes: ClassTable) -> GroundTruth | None:
    """The boxes of a sample in file order, of classes in the table; None if it was not annotated.

    Raises:
        DatasetError: A box is malformed, named by its place.
    """
    if "instances" not in entry:
        return None
    boxes, velocities, labels, num_points, track_ids = [], [], [], [], []
    for instance in entry.nodes("instances"):
        key = "bbox_label_3d" if "bbox_label_3d" in instance else "bbox_label"
        label = classes.index_of.get(instance.integer(key, at_least=-1))
        if label is None:
            continue
        box = instance.array("bbox_3d", (7,), (9,))
        if not (np.abs(box[:7]) < _FAR).all() or (box[3:6] <= 0).any():
            raise instance.error("bbox_3d", "no box", "x, y, z, length, width, height, yaw; sizes above 0")
        boxes.append(box[:7])
        velocities.append(_velocity(instance, box))
        labels.append(label)
        num_points.append(_integer_or_unknown(instance, "num_lidar_pts"))
        track_ids.append(_integer_or_unknown(instance, "track_id"))
    table = np.array(boxes, np.float64).reshape(-1, 7)
    return GroundTruth(
        Detections(
            table[:, :3].astype(np.float32),
            table[:, 3:6].astype(np.float32),
            _wrapped(table[:, 6]),
            np.array(velocities, np.float32).reshape(-1, 2),
            np.ones(len(table), np.float32),
            np.array(labels, np.int32),
            classes.class_names,
        ),
        np.array(num_points, np.int32),
        np.array(track_ids, np.int32),
    )


def _velocity(instance: InfoNode, box: FloatArray) -> FloatArray:
    """float64 [2] [m/s], NaN where there is none."""
    if "velocity" in instance:
        found = instance.array("velocity", (2,), (3,))[:2]
    else:
        found = box[7:9] if len(box) == 9 else np.full(2, np.nan)
    if (np.abs(found) > _FAR).any():
        raise instance.error("velocity", "no velocity", "vx, vy [m/s]")
    return found


def _integer_or_unknown(instance: InfoNode, key: str) -> int:
    return instance.integer(key, at_least=-1) if key in instance else -1


def _wrapped(yaws: FloatArray) -> npt.NDArray[np.float32]:
    """Headings in (-pi, pi], those already there unchanged."""
    inside = (yaws > -np.pi) & (yaws <= np.pi)
    return np.where(inside, yaws, np.pi - (np.pi - yaws) % (2 * np.pi)).astype(np.float32)


def _categories(metainfo: InfoNode) -> dict[str, int]:
    """``categories`` as mmdetection3d writes them, or ``classes`` as AWML does for T4."""
    if "categories" in metainfo:
        node = metainfo.node("categories")
        found = {name: node.integer(name, at_least=-1) for name in node.values}
        key = "categories"
    else:
        classes = metainfo.values.get("classes")
        names = np.asarray(classes).tolist() if isinstance(classes, PlainArray) else classes
        if not isinstance(names, list | tuple):
            raise metainfo.error("categories", "is missing", "categories with labels, or a list of classes")
        found, key = {str(name): label for label, name in enumerate(names)}, "classes"
    labels = [label for label in found.values() if label >= 0]
    if not all(isinstance(name, str) for name in found) or len(set(labels)) < len(labels):
        raise metainfo.error(key, "no table of categories", "distinct names with distinct labels")
    return found
