"""Streets of a few bodies at known places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from awml_deploy_lab.simulation import motion
from awml_deploy_lab.simulation.ground import Ground
from awml_deploy_lab.simulation.lidar import Lidar, evenly
from awml_deploy_lab.simulation.motion import Road, Trajectories
from awml_deploy_lab.simulation.primitives import Body
from awml_deploy_lab.simulation.rays import Rays, Revolution, RevolutionTables, cast
from awml_deploy_lab.simulation.road_users import CAR
from awml_deploy_lab.simulation.street import Street
from awml_deploy_lab.simulation.view import make_view

FLAT = Ground((0.0, 0.0), ((0.0, 0.1, 0.0, 0.0), (0.0, 0.0, 0.1, 0.0)))
ROAD = Road.winding(0.0, 200.0, 0.0, 100.0, 0.0)
LIDAR = Lidar(evenly(41, -20.0, 20.0), columns=720, position=(0.0, 0.0, 2.0))


def street(
    items: Sequence[tuple[Body, motion.Row]], *, ground: Ground = FLAT, ego_speed: float = 0.0
) -> Street:
    """Bodies (all cars by label) on a straight road along the map's x axis."""
    bodies = [body for body, _ in items]
    counts = [len(body.rows) for body in bodies]
    return Street(
        labels=np.full(len(items), CAR, np.int32),
        sizes=np.array([body.size for body in bodies]).reshape(-1, 3),
        bounds=np.array([body.bounds for body in bodies]).reshape(-1, 3),
        rows=np.concatenate([body.rows for body in bodies]) if bodies else np.zeros((0, 14), np.float32),
        first_row=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        trajectories=Trajectories.of(ROAD, [row for _, row in items]),
        ground=ground,
        ego=Trajectories.of(ROAD, [motion.along_road(0.0, 0.0, ego_speed or 1e-6)]),
    )


def rays_of(scene: Street, lidar: Lidar = LIDAR, time: float = 0.0, seed: int = 1) -> Rays:
    """All rays of one revolution."""
    view = make_view(scene, lidar, time)
    return cast(RevolutionTables.of([Revolution(view, scene.rows, lidar, seed)]))


def directions(rays: Rays) -> np.ndarray:
    """float64 [R, 3]: unit vectors in the upright frame."""
    ce, se, co, so, _ = rays.tables.beams[rays.beam].double().numpy().T
    firing = rays.tables.columns[rays.column].double().numpy()
    cos, sin = firing[:, 1], firing[:, 2]
    sensor = np.stack([ce * (cos * co - sin * so), ce * (sin * co + cos * so), se], axis=1)
    return np.einsum("rij,rj->ri", firing[:, 6:15].reshape(-1, 3, 3), sensor)


def hits(rays: Rays, body: int) -> np.ndarray:
    """float64 [n, 3]: where rays meet a body, in the upright frame."""
    chosen = (rays.body == body).numpy()
    origin = rays.tables.columns[rays.column].double().numpy()[chosen, 3:6]
    return origin + directions(rays)[chosen] * rays.distance.double().numpy()[chosen, None]
