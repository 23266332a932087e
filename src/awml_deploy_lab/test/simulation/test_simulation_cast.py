"""Rays against shapes whose surfaces are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_streets import FLAT, LIDAR, directions, hits, rays_of, street

from awml_deploy_lab.simulation import motion
from awml_deploy_lab.simulation.cast import GROUND, NOTHING
from awml_deploy_lab.simulation.ground import Ground
from awml_deploy_lab.simulation.primitives import Body, box, cylinder, ellipsoid

angles = st.floats(-math.pi, math.pi)
places = st.tuples(st.floats(5.0, 25.0), angles)


def body_at(body: Body, place: tuple[float, float], yaw: float) -> tuple[Body, motion.Row]:
    distance, bearing = place
    return body, motion.still(distance * math.cos(bearing), distance * math.sin(bearing), yaw)


def in_body(points: np.ndarray, row: motion.Row) -> np.ndarray:
    _, x, y, yaw, *_ = row
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx, dy = points[:, 0] - x, points[:, 1] - y
    return np.stack([cos * dx + sin * dy, cos * dy - sin * dx, points[:, 2]], axis=1)


def test_flat_ground_is_a_plane_at_the_sensor_s_height() -> None:
    rays = rays_of(street([]))
    down = directions(rays)[:, 2]
    met = rays.body.numpy() == GROUND
    expected = 2.0 / -down[met]
    np.testing.assert_allclose(rays.distance.numpy()[met], expected, rtol=1e-4)
    assert (down[met] < 0).all()
    assert set(np.unique(rays.body.numpy())) == {GROUND, NOTHING}
    assert met.sum() == (down < -2.0 / LIDAR.max_range).sum()


def test_points_on_wavy_ground_lie_on_it() -> None:
    ground = Ground((0.02, -0.015), ((0.15, 0.07, 0.02, 1.0), (0.1, -0.03, 0.06, 2.0)))
    rays = rays_of(street([], ground=ground))
    points = hits(rays, GROUND)
    level = float(ground.height(0.0, 0.0))
    near = np.hypot(points[:, 0], points[:, 1]) < 60
    error = points[near, 2] + level - ground.height(points[near, 0], points[near, 1])
    assert near.sum() > 5000
    assert np.abs(error).max() < 0.02


@settings(max_examples=25, deadline=None)
@given(places, angles, st.floats(0.0, 0.6), st.floats(0.0, 0.6), st.floats(0.0, 0.4))
def test_rays_end_on_the_surface_of_a_tapered_box(
    place: tuple[float, float], yaw: float, front: float, back: float, side: float
) -> None:
    body = Body.of((4.0, 2.0, 1.5), [box((-2, 2), (-1, 1), (0.2, 1.7), taper=(front, back, side))])
    scene = street([body_at(body, place, yaw)])
    points = in_body(hits(rays_of(scene), 0), scene.trajectories.rows[0])
    assert len(points) > 20
    rise = points[:, 2] - 0.2
    outside = np.stack(
        [
            points[:, 0] + front * rise - 2,
            -points[:, 0] + back * rise - 2,
            np.abs(points[:, 1]) + side * rise - 1,
            points[:, 2] - 1.7,
            0.2 - points[:, 2],
        ]
    ).max(axis=0)
    assert np.abs(outside).max() < 2e-3


@settings(max_examples=25, deadline=None)
@given(places, angles)
def test_rays_end_on_the_surface_of_round_things(place: tuple[float, float], yaw: float) -> None:
    ball = Body.of((1, 1, 1), [ellipsoid((0.3, 0.0, 1.0), (0.6, 0.4, 0.8))])
    tube = Body.of((1, 1, 1), [cylinder((0.0, -0.2), (0.5, 0.3), (0.5, 2.5))])
    for body, center, half in ((ball, (0.3, 0.0, 1.0), (0.6, 0.4, 0.8)), (tube, (0.0, -0.2), (0.5, 0.3))):
        scene = street([body_at(body, place, yaw)])
        points = in_body(hits(rays_of(scene), 0), scene.trajectories.rows[0])
        assert len(points) > 5
        axes = len(center)
        radius = np.linalg.norm((points[:, :axes] - center) / half, axis=1)
        on_cap = (np.abs(points[:, 2] - 0.5) < 2e-3) | (np.abs(points[:, 2] - 2.5) < 2e-3)
        assert np.abs(radius[~on_cap] - 1).max() < 5e-3
        assert radius[on_cap].max(initial=0.0) < 1 + 5e-3


def test_what_stands_in_front_hides_what_stands_behind() -> None:
    wall = Body.of((1, 1, 1), [box((-0.1, 0.1), (-3, 3), (0, 4))])
    wide = Body.of((1, 1, 1), [box((-0.1, 0.1), (-9, 9), (0, 4))])
    scene = street([(wall, motion.still(10.0, 0.0, 0.0)), (wide, motion.still(15.0, 0.0, 0.0))])
    rays = rays_of(scene)
    assert len(hits(rays, 0)) > 200
    behind = hits(rays, 1)
    assert len(behind) > 0
    shadow = np.abs(behind[:, 1]) < 3 / 9.9 * 14.9 - 0.2
    assert not (shadow & (behind[:, 2] < 2.0)).any()


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_porous_wall_lets_its_share_of_rays_pass(share: float) -> None:
    wall = Body.of((1, 1, 1), [box((-0.1, 0.1), (-6, 6), (0, 4), transmittance=share)])
    solid = Body.of((1, 1, 1), [box((-0.1, 0.1), (-20, 20), (0, 9))])
    scene = street([(wall, motion.still(8.0, 0.0, 0.0)), (solid, motion.still(12.0, 0.0, 0.0))])
    rays = rays_of(scene)
    passed, stopped = len(hits(rays, 1)), len(hits(rays, 0))
    only_solid = len(hits(rays_of(street([(solid, motion.still(12.0, 0.0, 0.0))])), 0))
    opaque = Body.of((1, 1, 1), [box((-0.1, 0.1), (-6, 6), (0, 4))])
    covered = len(hits(rays_of(street([(opaque, motion.still(8.0, 0.0, 0.0))])), 0))
    assert stopped / covered == pytest.approx(1 - share, abs=0.05)
    assert passed < only_solid
    again = rays_of(scene)
    assert (again.body == rays.body).all()
    assert (rays_of(scene, seed=2).body != rays.body).any()


def test_a_moving_body_is_met_where_it_is_when_the_beam_passes() -> None:
    wall = Body.of((1, 1, 1), [box((-0.5, 0.5), (-40, 40), (0, 4))])
    speed = 20.0
    scene = street([(wall, motion.line(15.0, 0.0, 0.0, speed))], ground=FLAT)
    rays = rays_of(scene)
    points = hits(rays, 0)
    middle = rays.tables.columns[rays.column].numpy()[(rays.body == 0).numpy(), 0]
    time = middle + LIDAR.period / 2
    np.testing.assert_allclose(points[:, 0], 14.5 + speed * time, atol=5e-3)
    assert np.ptp(time) > 0.03


def test_ego_motion_distorts_what_the_sensor_measures() -> None:
    wall = Body.of((1, 1, 1), [box((-0.5, 0.5), (-40, 40), (0, 4))])
    rays = rays_of(street([(wall, motion.still(15.0, 0.0, 0.0))], ego_speed=20.0))
    points = hits(rays, 0)
    np.testing.assert_allclose(points[:, 0], 14.5, atol=5e-3)
    chosen = (rays.body == 0).numpy()
    ahead = directions(rays)[chosen, 0] * rays.distance.numpy()[chosen]
    assert np.ptp(ahead) > 0.5
