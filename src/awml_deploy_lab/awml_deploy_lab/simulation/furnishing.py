"""What stands, drives and walks along a random road."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from awml_deploy_lab.simulation import motion, road_users, scenery
from awml_deploy_lab.simulation.chance import pick, sign
from awml_deploy_lab.simulation.motion import Road
from awml_deploy_lab.simulation.parameters import SceneParameters
from awml_deploy_lab.simulation.primitives import Body
from awml_deploy_lab.simulation.road_users import BICYCLE, BUS, CAR, PEDESTRIAN, STATIC, TRUCK

EGO_CENTER = 1.4
"""Centre of the ego vehicle ahead of its rear axle [m]."""
_VEHICLES = (CAR, TRUCK, BUS, BICYCLE)

Item = tuple[int, Body, motion.Row]
"""Label, body and motion."""


class BodyPool:
    """Bodies that several streets share: furnishing a street is mostly making bodies.

    The first ``size`` of a kind are made when they are asked for; after that, one of those is given.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._bodies: dict[Callable[..., Body], list[Body]] = {}

    def get(self, rng: np.random.Generator, make: Callable[..., Body], *arguments: float) -> Body:
        """A body that ``make(rng, *arguments)`` made for this or an earlier caller."""
        made = self._bodies.setdefault(make, [])
        if len(made) < self._size:
            made.append(make(rng, *arguments))
            return made[-1]
        return pick(rng, made)


class Furnisher:
    """Collects what stands and drives along one road."""

    def __init__(
        self,
        rng: np.random.Generator,
        parameters: SceneParameters,
        start: float,
        end: float,
        pool: BodyPool | None,
    ) -> None:
        self.rng = rng
        self.pool = pool
        self.parameters = parameters
        self.start, self.end = start, end
        self.lane_width = self.uniform(parameters.lane_width)
        self.lanes = int(rng.integers(parameters.lanes[0], parameters.lanes[1] + 1))
        self.half_road = self.lanes * self.lane_width + rng.uniform(0.0, 1.5)
        self.parking = 2.4 if rng.random() < 0.6 else 0.0
        self.pavement = rng.uniform(1.8, 4.5)
        self.curb = rng.uniform(0.06, 0.2)
        self.left_hand = rng.random() < 0.5
        bend = self.uniform(parameters.bend)
        self.road = Road.winding(
            start - 30, end + 30, bend, rng.uniform(150.0, 400.0), rng.uniform(0.0, 6.3)
        )
        self.clutter = self.uniform(parameters.clutter)
        self.crossing = rng.uniform(start, end) if rng.random() < 0.55 else math.inf
        self.crossing_half = rng.uniform(3.5, 8.0)
        """Half width of the side road [m]."""

    def uniform(self, limits: tuple[float, float]) -> float:
        return float(self.rng.uniform(*limits))

    def user(self, label: int) -> Body:
        return self.body(road_users.MAKERS[label], self.uniform(self.parameters.size_scale))

    def body(self, make: Callable[..., Body], *arguments: float) -> Body:
        if self.pool is None:
            return make(self.rng, *arguments)
        return self.pool.get(self.rng, make, *arguments)

    @property
    def edge(self) -> float:
        """Distance of the curb from the road's middle [m]."""
        return self.half_road + self.parking

    def at(self, along: float, left: float, turn: float = 0.0) -> tuple[float, float, float]:
        x, y, heading = self.road.place(along, left)
        return x, y, heading + turn

    def in_crossing(self, along: float, margin: float) -> bool:
        return abs(along - self.crossing) < self.crossing_half + margin

    def lane_speeds(self, ego_speed: float) -> dict[tuple[int, int], float]:
        """Speed by direction (+1, -1) and lane; the ego vehicle's lane is (1, 0)."""
        speeds = {}
        for direction in (1, -1):
            jam = self.rng.random() < 0.25
            for lane in range(self.lanes):
                speeds[direction, lane] = self.rng.uniform(0.0, 1.0) if jam else self.rng.uniform(3.0, 16.0)
        speeds[1, 0] = ego_speed
        return speeds

    def lane_offset(self, direction: int, lane: int) -> float:
        """To the left of the road's middle [m]; lane 0 is the outermost."""
        side = -1.0 if self.left_hand else 1.0
        return -direction * side * (self.lanes - lane - 0.5) * self.lane_width

    def traffic(self, speeds: dict[tuple[int, int], float], lead: float) -> Iterator[Item]:
        """Vehicles of all lanes, ``lead`` [m] of free road around the ego vehicle."""
        for (direction, lane), speed in speeds.items():
            gap, along = self.uniform(self.parameters.vehicle_gap), self.start + self.rng.uniform(0.0, 20.0)
            while along < self.end:
                label = pick(self.rng, _VEHICLES, self.parameters.traffic)
                body = self.user(label)
                along += body.size[0] / 2
                blocks_ego = (direction, lane) == (1, 0) and abs(along - EGO_CENTER) < lead + body.size[
                    0
                ] / 2
                if not blocks_ego:
                    left = self.lane_offset(direction, lane) + self.rng.normal(0.0, 0.25)
                    motion_row = motion.along_road(
                        *(along, left, direction * speed if speed > 0.3 else direction * 1e-3),
                        *(self.rng.uniform(0.0, 0.3) if speed > 2.0 else 0.0, self.rng.uniform(0.1, 0.5)),
                    )
                    yield label, body, motion_row
                along += body.size[0] / 2 + 1.5 + self.rng.exponential(gap)

    def roadside(self) -> Iterator[Item]:
        """Parked vehicles, cyclists at the edge, pedestrians and clutter on both pavements."""
        rng = self.rng
        for side in (-1.0, 1.0):
            if self.parking:
                yield from self._parked(side, self.uniform(self.parameters.parked))
            for along in self._places(self.uniform(self.parameters.cyclists)):
                speed = sign(rng) * rng.uniform(1.5, 7.0)
                left = side * (self.edge + rng.uniform(-0.8, 1.0))
                yield BICYCLE, self.user(BICYCLE), motion.along_road(along, left, speed, 0.15, 0.8)
            yield from self._walkers(side, self.uniform(self.parameters.pedestrians))
            yield from self._clutter(side)

    def _places(self, density: float) -> list[float]:
        count = self.rng.poisson(density * (self.end - self.start))
        return [float(v) for v in self.rng.uniform(self.start, self.end, count)]

    def _parked(self, side: float, share: float) -> Iterator[Item]:
        rng, along = self.rng, self.start
        while along < self.end:
            label = pick(rng, _VEHICLES, (0.78, 0.1, 0.03, 0.09))
            body = self.user(label)
            along += body.size[0] / 2
            if rng.random() < share and not self.in_crossing(along, 6.0):
                turn = pick(rng, (0.0, math.pi)) + rng.normal(0.0, 0.04)
                left = side * (self.edge - 1.2 + rng.normal(0.0, 0.12))
                yield label, body, motion.still(*self.at(along, left, turn))
            along += body.size[0] / 2 + rng.uniform(0.4, 2.0)

    def _walkers(self, side: float, density: float) -> Iterator[Item]:
        rng = self.rng
        for along in self._places(density):
            left = side * (self.edge + rng.uniform(0.3, self.pavement))
            kind = rng.random()
            if kind < 0.6:
                speed = sign(rng) * rng.normal(1.3, 0.25)
                yield PEDESTRIAN, self.user(PEDESTRIAN), motion.along_road(along, left, speed, 0.2, 0.6)
            elif kind < 0.85:
                for _ in range(int(rng.integers(1, 5))):
                    place = along + rng.normal(0.0, 1.0), left + rng.normal(0.0, 0.7)
                    pose = self.at(*place, rng.uniform(-math.pi, math.pi))
                    yield PEDESTRIAN, self.user(PEDESTRIAN), motion.still(*pose)
            else:
                pose = self.at(along, side * rng.uniform(-self.edge, self.edge), -side * math.pi / 2)
                yield PEDESTRIAN, self.user(PEDESTRIAN), motion.line(*pose, rng.normal(1.4, 0.25))

    def _clutter(self, side: float) -> Iterator[Item]:
        rng = self.rng
        inner, outer = self.edge + 0.3, self.edge + self.pavement
        for make, density, near, far in (
            (scenery.pole, 0.045, inner, inner + 0.6),
            (scenery.tree, 0.05, inner, outer + 8.0),
            (scenery.furniture, 0.05, inner, outer + 6.0),
            (scenery.bush, 0.07, outer, outer + 8.0),
        ):
            for along in self._places(density * self.clutter):
                if not self.in_crossing(along, 1.0):
                    left = side * rng.uniform(near, far)
                    yield (
                        STATIC,
                        self.body(make),
                        motion.still(*self.at(along, left, rng.uniform(0.0, 6.3))),
                    )
        for along in np.arange(self.start, self.end, 8.0):
            if not self.in_crossing(along, 4.0):
                strip = scenery.pavement(8.6, self.pavement, self.curb)
                yield STATIC, strip, motion.still(*self.at(along, side * (self.edge + self.pavement / 2)))

    def blocks(self) -> Iterator[Item]:
        """Houses with gaps on both sides, hedges before them, and car parks in some gaps."""
        rng = self.rng
        for side in (-1.0, 1.0):
            along = self.start - rng.uniform(0.0, 20.0)
            set_back = rng.uniform(0.0, 9.0)
            while along < self.end + 10.0:
                width, depth = rng.uniform(8.0, 28.0), rng.uniform(7.0, 14.0)
                middle, kind = along + width / 2, rng.random()
                front = self.edge + self.pavement + set_back * rng.uniform(0.5, 1.2)
                if self.in_crossing(middle, width / 2 + 2.0):
                    pass
                elif kind < 0.6:
                    pose = self.at(middle, side * (front + 0.8 + depth / 2), rng.normal(0.0, 0.02))
                    yield (
                        STATIC,
                        scenery.building(rng, width - rng.uniform(0.0, 2.0), depth),
                        motion.still(*pose),
                    )
                    if rng.random() < 0.3 and set_back > 3.0:
                        fence = scenery.hedge(rng, width)
                        yield (
                            STATIC,
                            fence,
                            motion.still(*self.at(middle, side * (self.edge + self.pavement + 0.3))),
                        )
                elif kind < 0.78:
                    width = max(width, 18.0)
                    yield from self._car_park(along + width / 2, side * (front + 11.0), width)
                along += width + rng.uniform(0.5, 6.0)

    def _car_park(self, along: float, left: float, width: float) -> Iterator[Item]:
        """Rows of parked vehicles, people between them, one vehicle looking for a place."""
        rng = self.rng
        turn = rng.uniform(-0.3, 0.3) if rng.random() < 0.5 else rng.uniform(-math.pi, math.pi)
        x, y, heading = self.at(along, left, turn)

        def place(u: float, v: float) -> tuple[float, float]:
            return x + u * math.cos(heading) - v * math.sin(heading), y + u * math.sin(
                heading
            ) + v * math.cos(heading)

        for v in (-6.0, 6.0):
            for u in np.arange(-width / 2 + 2.0, width / 2 - 2.0, 2.9):
                if rng.random() < 0.55:
                    label = pick(rng, _VEHICLES, (0.8, 0.09, 0.03, 0.08))
                    yaw = heading + sign(rng) * math.pi / 2 + rng.normal(0.0, 0.05)
                    yield label, self.user(label), motion.still(*place(u, v), yaw)
        for _ in range(rng.poisson(2.0)):
            u, v = rng.uniform(-width / 2, width / 2), rng.uniform(-3.0, 3.0)
            walk = motion.line(*place(u, v), rng.uniform(-math.pi, math.pi), max(0.0, rng.normal(0.9, 0.6)))
            yield PEDESTRIAN, self.user(PEDESTRIAN), walk
        if rng.random() < 0.5:
            label, rate = pick(rng, (CAR, TRUCK, BICYCLE), (0.6, 0.2, 0.2)), rng.uniform(0.3, 0.7)
            course = motion.circle(*place(0.0, 0.0), rng.uniform(4.0, 6.5), rng.uniform(0.0, 6.3), rate)
            yield label, self.user(label), course

    def side_road(self) -> Iterator[Item]:
        """Vehicles that wait or cross where a road meets this one, and people around them."""
        if math.isinf(self.crossing):
            return
        rng = self.rng
        for side in (-1.0, 1.0):
            left = self.edge + self.pavement + rng.uniform(1.0, 4.0)
            moving = rng.random() < 0.3
            speed = rng.uniform(2.0, 8.0) if moving else 0.0
            while left < 60.0:
                label = pick(rng, _VEHICLES, (0.58, 0.16, 0.1, 0.16))
                body = self.user(label)
                left += body.size[0] / 2
                for lane, sense in ((-0.5, -1.0), (0.5, 1.0)):
                    if rng.random() < 0.6:
                        offset = side * lane * self.crossing_half + rng.normal(0.0, 0.2)
                        pose = self.at(self.crossing + offset, side * left, side * sense * math.pi / 2)
                        yield label, body, motion.line(*pose, speed)
                        body = self.user(label)
                left += body.size[0] / 2 + rng.uniform(1.5, 12.0)
            for _ in range(rng.poisson(3.0)):
                along = self.crossing + rng.uniform(-1.0, 1.0) * (self.crossing_half + 3.0)
                pose = self.at(
                    along, side * (self.edge + rng.uniform(0.3, self.pavement)), rng.uniform(-3.1, 3.1)
                )
                yield PEDESTRIAN, self.user(PEDESTRIAN), motion.line(*pose, pick(rng, (0.0, 1.3)))
