"""Where bodies are at a time: along the road, along a line, around a circle, or in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

STILL, ALONG_ROAD, LINE, CIRCLE = range(4)
_WIDTH = 6
_DIFFERENCE = 0.02
"""Half of the time [s] over which velocities are differenced."""

Row = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Road:
    """A curved centre line; places on it are given by distance along it and to its left [m]."""

    start: float
    """Distance along of the first node; nodes are a metre apart."""
    x: Array
    y: Array
    heading: Array
    """float64 [nodes] of the centre line in the map."""

    @classmethod
    def winding(cls, start: float, end: float, bend: float, wave_length: float, phase: float) -> Road:
        """A road whose heading swings by ``bend`` [rad] to both sides."""
        along = np.arange(math.floor(start), math.ceil(end) + 1.0)
        heading = bend * np.sin(2 * math.pi * along / wave_length + phase)
        x = np.concatenate([[0.0], np.cumsum(np.cos(heading[:-1]))])
        y = np.concatenate([[0.0], np.cumsum(np.sin(heading[:-1]))])
        return cls(float(along[0]), x, y, heading)

    def place(self, along: float, left: float) -> tuple[float, float, float]:
        """Map x, y and heading of one place; many times faster than :meth:`locate` for one."""
        at = along - self.start
        node = min(max(int(at), 0), len(self.x) - 2)
        part = min(max(at - node, 0.0), 1.0)
        heading = float(self.heading[node] + part * (self.heading[node + 1] - self.heading[node]))
        cos, sin = math.cos(heading), math.sin(heading)
        beyond = at - node - part
        x = float(self.x[node] + part * (self.x[node + 1] - self.x[node]))
        y = float(self.y[node] + part * (self.y[node + 1] - self.y[node]))
        return x + beyond * cos - left * sin, y + beyond * sin + left * cos, heading

    def locate(self, along: Array | float, left: Array | float) -> tuple[Array, Array, Array]:
        """Map x, y and heading of places on the road."""
        at = np.asarray(along, np.float64) - self.start
        nodes = np.arange(len(self.x))
        heading = np.interp(at, nodes, self.heading)
        # Beyond its ends the road goes on straight.
        beyond = at - np.clip(at, 0.0, len(nodes) - 1.0)
        x = np.interp(at, nodes, self.x) + beyond * np.cos(heading) - left * np.sin(heading)
        y = np.interp(at, nodes, self.y) + beyond * np.sin(heading) + left * np.cos(heading)
        return x, y, heading


def still(x: float, y: float, yaw: float) -> Row:
    """One place in the map."""
    return (STILL, x, y, yaw, 0.0, 0.0, 0.0)


def along_road(along: float, left: float, speed: float, swing: float = 0.0, rate: float = 0.0) -> Row:
    """Along the road at ``speed`` [m/s], negative against it, swaying by ``swing`` [m]."""
    return (ALONG_ROAD, along, left, speed, swing, rate, 0.0)


def line(x: float, y: float, yaw: float, speed: float) -> Row:
    """Straight on."""
    return (LINE, x, y, yaw, speed, 0.0, 0.0)


def circle(x: float, y: float, radius: float, start: float, rate: float) -> Row:
    """Around a centre, counter-clockwise for a positive ``rate`` [rad/s]."""
    return (CIRCLE, x, y, radius, start, rate, 0.0)


@dataclass(frozen=True, eq=False)
class Poses:
    """Places of K bodies in the map at one time."""

    x: Array
    y: Array
    yaw: Array


@dataclass(frozen=True, eq=False)
class Trajectories:
    """The motion of K bodies."""

    road: Road
    rows: Array
    """float64 [K, 7]: kind and its values."""

    @classmethod
    def of(cls, road: Road, rows: Sequence[Row]) -> Trajectories:
        """From rows made by :func:`still`, :func:`along_road`, :func:`line` or :func:`circle`."""
        return cls(road, np.array(rows, np.float64).reshape(-1, _WIDTH + 1))

    def select(self, index: npt.NDArray[np.integer]) -> Trajectories:
        """Some of the bodies."""
        return Trajectories(self.road, self.rows[index])

    def along_time(self, times: Array) -> Trajectories:
        """The only body's motion, once for each of several times."""
        return Trajectories(self.road, np.repeat(self.rows[:1], len(times), axis=0))

    def at(self, time: Array | float) -> Poses:
        """Poses at ``time`` [s], one for all bodies or one a body."""
        kind, a, b, c, d, e, _ = self.rows.T
        t = np.broadcast_to(np.asarray(time, np.float64), a.shape)
        x, y, yaw = a.copy(), b.copy(), c.copy()
        on = kind == ALONG_ROAD
        if on.any():
            speed, swing, rate = c[on], d[on], e[on]
            sway = swing * np.sin(rate * t[on])
            drift = np.arctan2(swing * rate * np.cos(rate * t[on]), np.maximum(np.abs(speed), 0.5))
            px, py, heading = self.road.locate(a[on] + speed * t[on], b[on] + sway)
            x[on], y[on] = px, py
            yaw[on] = np.where(speed < 0, heading + math.pi - drift, heading + drift)
        on = kind == LINE
        x[on] += d[on] * t[on] * np.cos(c[on])
        y[on] += d[on] * t[on] * np.sin(c[on])
        on = kind == CIRCLE
        angle = d[on] + e[on] * t[on]
        x[on] += c[on] * np.cos(angle)
        y[on] += c[on] * np.sin(angle)
        yaw[on] = angle + np.sign(e[on]) * math.pi / 2
        return Poses(x, y, yaw)

    def rates(self, time: Array | float) -> Poses:
        """Velocities in the map [m/s] and yaw rates [rad/s] at ``time``."""
        after, before = self.at(time + _DIFFERENCE), self.at(time - _DIFFERENCE)
        turn = np.remainder(after.yaw - before.yaw + math.pi, 2 * math.pi) - math.pi
        step = 2 * _DIFFERENCE
        return Poses((after.x - before.x) / step, (after.y - before.y) / step, turn / step)
