"""A street as one revolution of the LiDAR meets it: the tables that the ray casters read.

Everything is in the *upright frame* of the revolution: origin at ``base_link`` when the revolution
starts, x along the ego vehicle's heading, z against gravity. Coordinates stay small there, which float32
needs, and bodies stand upright in it, however the ego vehicle is tilted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_lab.simulation.lidar import Lidar, rotation
from awml_deploy_lab.simulation.motion import Trajectories
from awml_deploy_lab.simulation.road_users import CLASS_NAMES, STATIC
from awml_deploy_lab.simulation.street import Street

Array = npt.NDArray[np.float64]
Table = npt.NDArray[np.float32]

BODY_WIDTH = 16
"""Columns of a body's row: x, y, z, cos and sin of the yaw at the middle of the revolution, velocity x, y,
yaw rate, radius, lowest and highest z, first primitive, number of primitives, bearing from the sensor and
half of the angle [rad] that it covers, its number in the street."""
COLUMN_WIDTH = 16
"""Columns of a firing's row: time from the middle of the revolution [s], cos and sin of the azimuth,
origin x, y, z, rotation of the sensor row by row (9), azimuth in the upright frame."""
_KNOTS = 9
"""Poses of the ego vehicle a revolution, between which it is interpolated."""
_SLACK = 0.06
"""Angle added to what a body covers [rad]: azimuth offsets of beams and tilt of the sensor."""


@dataclass(frozen=True)
class EgoPose:
    """``base_link`` in the map."""

    x: float
    y: float
    z: float
    roll: float
    pitch: float
    yaw: float

    def matrix(self) -> Array:
        """float64 [4, 4]: from ``base_link`` to ``map``."""
        matrix = np.eye(4)
        matrix[:3, :3] = rotation(self.roll, self.pitch, self.yaw)
        matrix[:3, 3] = self.x, self.y, self.z
        return matrix


def ego_path(street: Street, times: Array) -> Array:
    """float64 [n, 6]: the values of :class:`EgoPose` at some times [s]: on the ground, tilted with it."""
    at = street.ego.along_time(times).at(times)
    gx, gy = street.ground.gradient(at.x, at.y)
    cos, sin = np.cos(at.yaw), np.sin(at.yaw)
    roll, pitch = np.arctan(gy * cos - gx * sin), -np.arctan(gx * cos + gy * sin)
    return np.stack([at.x, at.y, street.ground.height(at.x, at.y), roll, pitch, at.yaw], axis=1)


def ego_pose(street: Street, time: float) -> EgoPose:
    """Where the ego vehicle is at ``time`` [s]."""
    return EgoPose(*(float(value) for value in ego_path(street, np.array([time]))[0]))


@dataclass(frozen=True, eq=False)
class SweepView:
    """The tables of one revolution and what is true in it."""

    bodies: Table
    """float32 [V, BODY_WIDTH]: bodies within reach."""
    columns: Table
    """float32 [columns, COLUMN_WIDTH]: firings."""
    ground: Table
    """float32 [GROUND_WIDTH]."""
    pose: EgoPose
    """At the start of the revolution."""
    boxes: Detections
    """Road users within reach, in ``base_link`` at the start, each when the beams passed its centre."""
    box_body: npt.NDArray[np.int32]
    """int32 [M]: number of the body of every box."""

    def upright_to_base(self) -> npt.NDArray[np.float32]:
        """float32 [3, 3]: rotation from the upright frame to ``base_link``."""
        return np.asarray(rotation(self.pose.roll, self.pose.pitch, 0.0).T, np.float32)


def make_view(street: Street, lidar: Lidar, time: float) -> SweepView:
    """The revolution that starts at ``time`` [s]."""
    pose = ego_pose(street, time)
    columns = _column_table(street, lidar, pose, time)
    middle = time + lidar.period / 2
    eye = columns[lidar.columns // 2, 3:6].astype(np.float64)
    x, y, z, yaw, vx, vy, turn = _bodies_at(street, street.trajectories, pose, middle)
    radius = street.bounds[:, 0]
    distance = np.hypot(x - eye[0], y - eye[1])
    near = distance < lidar.max_range + radius
    bearing = np.arctan2(y - eye[1], x - eye[0])
    ego_speed = math.dist(columns[0, 3:5].tolist(), columns[-1, 3:5].tolist())
    reach = radius + np.hypot(vx, vy) * lidar.period + ego_speed
    half = np.where(
        distance > reach, np.arcsin(np.clip(reach / np.maximum(distance, 1e-6), 0.0, 1.0)), math.pi
    )
    table = np.stack(
        [
            *(x, y, z, np.cos(yaw), np.sin(yaw), vx, vy, turn),
            *(radius, street.bounds[:, 1], street.bounds[:, 2]),
            *(street.first_row[:-1], np.diff(street.first_row), bearing, half + _SLACK, np.arange(len(x))),
        ],
        axis=1,
    )
    boxes, box_body = _boxes(street, lidar, pose, time, bearing - lidar.tilt[2], near)
    ground = street.ground.seen_from(pose.x, pose.y, pose.z, pose.yaw)
    return SweepView(table[near].astype(np.float32), columns, ground, pose, boxes, box_body)


def _bodies_at(
    street: Street, trajectories: Trajectories, pose: EgoPose, time: Array | float
) -> tuple[Array, ...]:
    """Place, yaw, velocity and yaw rate of bodies in the upright frame."""
    at, rate = trajectories.at(time), trajectories.rates(time)
    cos, sin = math.cos(pose.yaw), math.sin(pose.yaw)
    dx, dy = at.x - pose.x, at.y - pose.y
    return (
        *(cos * dx + sin * dy, cos * dy - sin * dx, street.ground.height(at.x, at.y) - pose.z),
        *(at.yaw - pose.yaw, cos * rate.x + sin * rate.y, cos * rate.y - sin * rate.x, rate.yaw),
    )


def _column_table(street: Street, lidar: Lidar, pose: EgoPose, time: float) -> Table:
    knots = np.linspace(0.0, lidar.period, _KNOTS)
    path = ego_path(street, time + knots)
    cos, sin = math.cos(pose.yaw), math.sin(pose.yaw)
    dx, dy = path[:, 0] - pose.x, path[:, 1] - pose.y
    base = np.stack([cos * dx + sin * dy, cos * dy - sin * dx, path[:, 2] - pose.z], axis=1)
    turns = np.stack([rotation(roll, pitch, yaw - pose.yaw) for roll, pitch, yaw in path[:, 3:]])
    mounting = lidar.mounting()
    origins = base + turns @ mounting[:3, 3]
    sensors = (turns @ mounting[:3, :3]).reshape(-1, 9)
    times, azimuth = lidar.times(), lidar.azimuths()
    # Between knots a hundredth of a second apart, rotations are straight lines to float32.
    place = times / lidar.period * (_KNOTS - 1)
    knot = place.astype(np.int64)
    part = (place - knot)[:, None]
    values = np.concatenate([origins, sensors], axis=1)
    table = np.empty((lidar.columns, COLUMN_WIDTH))
    table[:, 0] = times - lidar.period / 2
    table[:, 1], table[:, 2] = np.cos(azimuth), np.sin(azimuth)
    table[:, 3:15] = values[knot] * (1 - part) + values[knot + 1] * part
    level = table[:, [6, 9]] * table[:, 1:2] + table[:, [7, 10]] * table[:, 2:3]
    table[:, 15] = np.arctan2(level[:, 1], level[:, 0])
    return table.astype(np.float32)


def _boxes(
    street: Street,
    lidar: Lidar,
    pose: EgoPose,
    time: float,
    bearing: Array,
    near: npt.NDArray[np.bool_],
) -> tuple[Detections, npt.NDArray[np.int32]]:
    chosen = np.nonzero(near & (street.labels != STATIC))[0]
    # The sensor turns clockwise from the rear.
    seen = lidar.period * np.remainder(math.pi - bearing[chosen], 2 * math.pi) / (2 * math.pi)
    x, y, z, yaw, vx, vy, _ = _bodies_at(street, street.trajectories.select(chosen), pose, time + seen)
    sizes = street.sizes[chosen]
    to_base = rotation(pose.roll, pose.pitch, 0.0).T
    centers = np.stack([x, y, z + sizes[:, 2] / 2], axis=1) @ to_base.T
    boxes = Detections(
        centers.astype(np.float32),
        sizes.astype(np.float32),
        np.arctan2(np.sin(yaw), np.cos(yaw)).astype(np.float32),
        np.stack([vx, vy], axis=1).astype(np.float32),
        np.ones(len(chosen), np.float32),
        street.labels[chosen],
        CLASS_NAMES,
    )
    return boxes, chosen.astype(np.int32)
