"""KITTI's object labels (``label_2``) and calibration (``calib``) as boxes in the velodyne frame.

The formats are those of the object development kit's readme and of Geiger et al., "Are we ready for
autonomous driving? The KITTI vision benchmark suite", CVPR 2012. A label is one line of type, truncation
(0 to 1), occlusion (0 visible, 1 partly, 2 largely, 3 unknown), alpha, left, top, right, bottom [px],
height, width, length [m], bottom centre x, y, z [m] in the rectified camera frame (x right, y down, z
forward) and the rotation about its y axis [rad]. Only what the left colour camera sees is labelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import DatasetError
from awml_deploy_core.ground_truth import GroundTruth
from awml_extractors.datasets.records import read_bytes

FloatArray: TypeAlias = npt.NDArray[np.float64]

KITTI_CLASSES: dict[str, str] = {
    "Car": "CAR",
    "Van": "CAR",
    "Truck": "TRUCK",
    "Cyclist": "BICYCLE",
    "Pedestrian": "PEDESTRIAN",
    "Person_sitting": "PEDESTRIAN",
}
"""Class of Autoware's models for each type that has one."""

CLASS_NAMES = tuple(dict.fromkeys(KITTI_CLASSES.values()))
"""What the labels of the ground truth index."""

DONT_CARE = "DontCare"
UNMAPPED_TYPES = ("Tram", "Misc")
"""Types that none of the classes has."""

_VALUES = 14
_RIGID_TOLERANCE = 1e-3
_FAR = 1e4


@dataclass(frozen=True, eq=False)
class KittiCalibration:
    """Where the velodyne's points are in the left colour camera and its image."""

    to_camera: FloatArray
    """float64 [4, 4]: from the velodyne frame into the rectified camera frame, rigid."""
    projection: FloatArray
    """float64 [3, 4]: ``P2``, from the rectified camera frame to pixels times depth."""

    @classmethod
    def read(cls, path: Path) -> KittiCalibration:
        """``P2``, ``R0_rect`` and ``Tr_velo_to_cam`` of one sweep's file.

        Raises:
            DatasetError: The file is missing or malformed, or lacks one of them.
        """
        rows: dict[str, FloatArray] = {}
        for number, line in enumerate(_lines(path), 1):
            key, _, text = line.partition(":")
            rows[key.strip()] = _numbers(f"{path}: line {number}", text.split())
        projection = _matrix(path, rows, "P2", (3, 4))
        rectify, to_camera = np.eye(4), np.eye(4)
        rectify[:3, :3] = _rotation(path, "R0_rect", _matrix(path, rows, "R0_rect", (3, 3)))
        to_camera[:3] = _matrix(path, rows, "Tr_velo_to_cam", (3, 4))
        _rotation(path, "Tr_velo_to_cam", to_camera[:3, :3])
        return cls(rectify @ to_camera, projection)

    def to_velodyne(self) -> FloatArray:
        """float64 [4, 4]: from the rectified camera frame into the velodyne frame."""
        return np.linalg.inv(self.to_camera).astype(np.float64, copy=False)

    def project(self, points: npt.NDArray[Any]) -> FloatArray:
        """Points [N, 3] of the velodyne frame as float64 [N, 3]: column, row [px], depth [m].

        Column and row are NaN for what is not in front of the camera.
        """
        camera = self.to_camera @ np.column_stack([points, np.ones(len(points))]).T.astype(np.float64)
        u, v, depth = self.projection @ camera
        scale = np.where(depth > 0, depth, np.nan)
        return np.stack([u / scale, v / scale, depth], axis=1)


@dataclass(frozen=True, eq=False)
class KittiLabels:
    """What KITTI's annotators say is in one camera image."""

    ground_truth: GroundTruth
    """M boxes in the velodyne frame; velocities are NaN, point counts and tracks unknown (-1)."""
    types: tuple[str, ...]
    """M types as in the file, keys of :data:`KITTI_CLASSES`."""
    truncation: FloatArray
    """float64 [M]: share of the object outside of the image, 0 to 1."""
    occlusion: npt.NDArray[np.int32]
    """int32 [M]: 0 visible, 1 partly occluded, 2 largely occluded, 3 unknown."""
    ignored_regions: FloatArray
    """float64 [K, 4]: left, top, right, bottom [px] of ``DontCare`` regions, where objects may be that
    have no label, and of the objects that are left out."""
    left_out: Mapping[str, int]
    """Number of objects by type that none of the classes has."""


def read_kitti_labels(path: Path, calibration: KittiCalibration) -> KittiLabels:
    """The labels of one image; a file without lines says that there is nothing.

    Raises:
        DatasetError: The file is missing or malformed.
    """
    types, rows, regions = [], [], []
    left_out: Counter[str] = Counter()
    for number, line in enumerate(_lines(path), 1):
        kind, values = _label(f"{path}: line {number}", line)
        if kind in KITTI_CLASSES:
            types.append(kind)
            rows.append(values)
            continue
        regions.append(values[3:7])
        if kind != DONT_CARE:
            left_out[kind] += 1
    table = np.array(rows, np.float64).reshape(-1, _VALUES)
    return KittiLabels(
        _ground_truth(types, table, calibration),
        tuple(types),
        table[:, 0],
        table[:, 1].astype(np.int32),
        np.array(regions, np.float64).reshape(-1, 4),
        dict(left_out),
    )


def _ground_truth(types: list[str], table: FloatArray, calibration: KittiCalibration) -> GroundTruth:
    """Boxes of label lines float64 [M, 14] (without the type)."""
    count, to_velodyne = len(table), calibration.to_velodyne()
    height, width, length = table[:, 7:10].T
    # KITTI's boxes stand on their location, and the camera's y axis points down.
    middle = table[:, 10:13] - np.column_stack([np.zeros(count), height / 2, np.zeros(count)])
    centers = middle @ to_velodyne[:3, :3].T + to_velodyne[:3, 3]
    # A rotation about y turns the x axis to (cos, 0, -sin).
    turn = table[:, 13]
    forward = np.column_stack([np.cos(turn), np.zeros(count), -np.sin(turn)]) @ to_velodyne[:3, :3].T
    unknown = np.full(count, -1, np.int32)
    boxes = Detections(
        centers.astype(np.float32),
        np.column_stack([length, width, height]).astype(np.float32),
        np.arctan2(forward[:, 1], forward[:, 0]).astype(np.float32),
        np.full((count, 2), np.nan, np.float32),
        np.ones(count, np.float32),
        np.array([CLASS_NAMES.index(KITTI_CLASSES[kind]) for kind in types], np.int32),
        CLASS_NAMES,
    )
    return GroundTruth(boxes, unknown, unknown.copy())


def _label(place: str, line: str) -> tuple[str, FloatArray]:
    """Type and the 14 numbers of a line, checked."""
    kind, *texts = line.split()
    known = (*KITTI_CLASSES, *UNMAPPED_TYPES, DONT_CARE)
    if kind not in known:
        raise DatasetError(place, "unknown type of object", got=kind, expected=", ".join(known))
    values = _numbers(place, texts)
    if len(values) != _VALUES:
        raise DatasetError(
            place,
            "wrong number of values after the type",
            got=len(values),
            expected=f"{_VALUES}, as in label_2; a detector's results have one more",
        )
    left, top, right, bottom = values[3:7]
    if not (left <= right and top <= bottom):
        raise DatasetError(
            place, "no rectangle", got=values[3:7].tolist(), expected="left, top, right, bottom"
        )
    if kind != DONT_CARE:
        _check_object(place, values)
    return kind, values


def _check_object(place: str, values: FloatArray) -> None:
    if not 0 <= values[0] <= 1:
        raise DatasetError(place, "truncation out of range", got=f"{values[0]:g}", expected="0..1")
    if values[1] not in (0, 1, 2, 3):
        raise DatasetError(place, "unknown occlusion", got=f"{values[1]:g}", expected="0, 1, 2 or 3")
    if not (values[7:10] > 0).all() or np.abs(values[7:]).max() > _FAR:
        raise DatasetError(
            place,
            "no box",
            got=values[7:].tolist(),
            expected="height, width, length above 0, x, y, z [m], rotation [rad]",
        )


def _lines(path: Path) -> list[str]:
    """Lines that are not blank; none of an empty file."""
    if path.is_file() and path.stat().st_size == 0:
        return []
    try:
        text = read_bytes(path).decode("ascii")
    except UnicodeDecodeError as error:
        raise DatasetError(path, "not a text file", expected="KITTI's label_2 or calib") from error
    return [line for line in text.splitlines() if line.strip()]


def _numbers(place: str, texts: list[str]) -> FloatArray:
    try:
        values = np.array([float(text) for text in texts], np.float64)
    except ValueError as error:
        raise DatasetError(place, "not a number", got=str(error), expected="numbers") from error
    if not np.isfinite(values).all():
        raise DatasetError(place, "not a finite number", got=" ".join(texts), expected="numbers")
    return values


def _matrix(path: Path, rows: Mapping[str, FloatArray], key: str, shape: tuple[int, int]) -> FloatArray:
    if key not in rows:
        raise DatasetError(
            path, f"{key} is missing", got=", ".join(rows) or "nothing", expected=f"{key}: ..."
        )
    if rows[key].size != shape[0] * shape[1]:
        raise DatasetError(
            f"{path}: {key}", "wrong number of values", got=rows[key].size, expected=shape[0] * shape[1]
        )
    return rows[key].reshape(shape)


def _rotation(path: Path, key: str, matrix: FloatArray) -> FloatArray:
    if not np.abs(matrix @ matrix.T - np.eye(3)).max() < _RIGID_TOLERANCE or np.linalg.det(matrix) < 0:
        raise DatasetError(
            f"{path}: {key}", "not a rotation", got=matrix.tolist(), expected="orthonormal rows"
        )
    return matrix
