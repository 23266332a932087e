"""Head outputs that say known boxes, written from the documented conventions alone.

Nothing here uses the code that decodes. Sources: ``autoware_lidar_centerpoint``
(postprocess_kernel.cu) for where a cell is, for the order width, length, height and for the yaw;
mmdet3d (``CenterPointBBoxCoder``, ``CenterHead.get_targets``) for its own order and yaw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_extractors.centerpoint.config import CenterPointConfig, HeadConvention

BACKGROUND = -12.0
"""Logit of a cell without a box: a score of 6e-6."""

Maps = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class KnownBox:
    """One box, in REP 103: z is that of the geometric centre, yaw counter-clockwise from +x."""

    label: int
    center: tuple[float, float, float]
    """x, y, z [m]."""
    size: tuple[float, float, float]
    """length, width, height [m]."""
    yaw: float = 0.0
    """[rad]."""
    velocity: tuple[float, float] = (0.0, 0.0)
    """vx, vy [m/s] along the axes of the cloud's frame."""
    score: float = 0.9
    rot_norm: float = 1.0
    """Length of the vector that the rot channels are."""
    cell: tuple[int, int] | None = None
    """Column and row that says it; None is the one that its centre lies in."""
    kept: bool = True
    """Whether it comes back."""


def rot_channels(yaw: float, convention: HeadConvention) -> tuple[float, float]:
    """The two rot channels of a yaw [rad].

    Autoware takes atan2(rot0, rot1) and turns it into the ROS yaw by ``-angle - pi/2``. mmdet3d's
    head is trained with (sin, cos) of the yaw itself.
    """
    angle = -yaw - math.pi / 2 if convention.rot_encoding == "neg_cos_neg_sin" else yaw
    return math.sin(angle), math.cos(angle)


def dim_channels(size: tuple[float, float, float], convention: HeadConvention) -> tuple[float, ...]:
    """The three dim channels of length, width, height [m]: Autoware reads w, l, h, mmdet3d l, w, h."""
    length, width, height = (math.log(value) for value in size)
    return (width, length, height) if convention.dim_order == "wlh" else (length, width, height)


def logit(score: float) -> float:
    """Inverse of the sigmoid."""
    return math.log(score / (1.0 - score))


@dataclass(frozen=True)
class ProbeGeometry:
    """Where the cells of the head's maps are, from the configuration's primary figures."""

    config: CenterPointConfig
    step: tuple[float, float] = field(init=False)
    """Size of an output cell in x and y [m]."""

    def __post_init__(self) -> None:
        width, height = self.config.output_size
        low, high = self.config.point_cloud_range[:2], self.config.point_cloud_range[3:5]
        step = (high[0] - low[0]) / width, (high[1] - low[1]) / height
        object.__setattr__(self, "step", step)

    def cell_of(self, box: KnownBox) -> tuple[int, int]:
        """Column and row that says a box."""
        if box.cell is not None:
            return box.cell
        column, row = (
            math.floor((box.center[axis] - self.config.point_cloud_range[axis]) / self.step[axis])
            for axis in (0, 1)
        )
        return column, row

    def values(self, box: KnownBox, convention: HeadConvention) -> dict[str, list[float]]:
        """Channels of every output but the heatmap at the cell of a box."""
        cell = self.cell_of(box)
        offsets = [
            (box.center[axis] - self.config.point_cloud_range[axis]) / self.step[axis] - cell[axis]
            for axis in (0, 1)
        ]
        return {
            "reg": offsets,
            "height": [box.center[2]],
            "dim": list(dim_channels(box.size, convention)),
            "rot": [box.rot_norm * value for value in rot_channels(box.yaw, convention)],
            "vel": list(box.velocity),
        }


def encode(config: CenterPointConfig, boxes: Sequence[KnownBox]) -> Maps:
    """Head outputs ``[1, c, h, w]`` by name, in the configuration's convention."""
    geometry = ProbeGeometry(config)
    width, height = config.output_size
    maps: Maps = {
        name: np.zeros((1, channels, height, width), np.float32)
        for name, channels in config.head_outputs.items()
    }
    maps["heatmap"][:] = BACKGROUND
    for box in boxes:
        column, row = geometry.cell_of(box)
        maps["heatmap"][0, box.label, row, column] = logit(box.score)
        for name, values in geometry.values(box, config.head_convention).items():
            # A head with variance writes the values first.
            maps[name][0, : len(values), row, column] = values
    return maps


def expected(
    config: CenterPointConfig, boxes: Sequence[KnownBox], class_names: Sequence[str] | None = None
) -> Detections:
    """The boxes that come back, best score first."""
    kept = sorted((box for box in boxes if box.kept), key=lambda box: -box.score)
    names = tuple(class_names or config.class_names)
    if not kept:
        return Detections.empty(names, has_velocity=config.has_twist)
    velocities = np.array([box.velocity for box in kept], np.float32)
    return Detections(
        np.array([box.center for box in kept], np.float32),
        np.array([box.size for box in kept], np.float32),
        np.array([box.yaw for box in kept], np.float32),
        velocities if config.has_twist else np.zeros_like(velocities),
        np.array([box.score for box in kept], np.float32),
        np.array([box.label for box in kept], np.int32),
        names,
        config.has_twist,
    )
