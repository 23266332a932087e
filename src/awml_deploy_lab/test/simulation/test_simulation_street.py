from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_lab.simulation import motion
from awml_deploy_lab.simulation.furnishing import BodyPool
from awml_deploy_lab.simulation.ground import Ground
from awml_deploy_lab.simulation.motion import Road, Trajectories
from awml_deploy_lab.simulation.overlaps import free_of_overlaps
from awml_deploy_lab.simulation.parameters import HELD_OUT, TRAINING
from awml_deploy_lab.simulation.road_users import STATIC
from awml_deploy_lab.simulation.street import make_street

TIMES = [4.0, 4.1]


@pytest.mark.parametrize("seed", range(4))
def test_no_two_road_users_touch_and_none_touches_the_ego_vehicle(seed: int) -> None:
    street = make_street(np.random.default_rng(seed), TRAINING, times=TIMES, reach=80.0)
    users = np.nonzero(street.labels != STATIC)[0]
    assert len(users) > 5
    moving = street.trajectories.select(users)
    assert free_of_overlaps(moving, street.sizes[users], np.array(TIMES), 0.0).all()
    for time in TIMES:
        ego, at = street.ego.at(time), moving.at(time)
        dx, dy = at.x - ego.x[0], at.y - ego.y[0]
        cos, sin = math.cos(ego.yaw[0]), math.sin(ego.yaw[0])
        along, across = cos * dx + sin * dy, cos * dy - sin * dx
        assert not ((np.abs(along - 1.4) < 2.4) & (np.abs(across) < 0.9)).any()


def test_streets_of_a_seed_are_the_same_and_of_others_differ() -> None:
    first, second, other = (
        make_street(np.random.default_rng(seed), HELD_OUT, times=TIMES, reach=80.0) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.rows, second.rows)
    np.testing.assert_array_equal(first.trajectories.rows, second.trajectories.rows)
    assert first.rows.shape != other.rows.shape or not np.array_equal(first.rows, other.rows)


def test_streets_have_every_kind_of_road_user() -> None:
    counts = np.zeros(5, int)
    for seed in range(8):
        street = make_street(np.random.default_rng(seed), TRAINING, times=TIMES, reach=80.0)
        counts += np.bincount(street.labels[street.labels != STATIC], minlength=5)
    assert (counts >= 10).all()


def test_a_pool_gives_streets_in_which_bodies_come_again() -> None:
    pool = BodyPool(3)
    streets = [
        make_street(np.random.default_rng(seed), TRAINING, times=TIMES, reach=80.0, pool=pool)
        for seed in (0, 1)
    ]
    sizes = np.concatenate([street.sizes[street.labels == 0] for street in streets])
    assert len(sizes) > 10
    assert len(np.unique(sizes, axis=0)) <= 3


MOTIONS = [
    motion.along_road(3.0, -2.0, 8.0, 0.3, 0.5),
    motion.along_road(3.0, 2.0, -8.0, 0.2, 0.4),
    motion.line(1.0, 2.0, 0.7, 3.0),
    motion.circle(1.0, 2.0, 5.0, 0.3, 0.6),
]


@settings(max_examples=50, deadline=None)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 10), st.sampled_from(MOTIONS))
def test_rates_are_derivatives_of_poses(x: float, y: float, time: float, row: motion.Row) -> None:
    road = Road.winding(-300.0, 300.0, 0.3, 180.0, x * y)
    trajectories = Trajectories.of(road, [row])
    rate, step = trajectories.rates(time), 0.2
    before, after = trajectories.at(time - step), trajectories.at(time + step)
    assert rate.x[0] == pytest.approx((after.x[0] - before.x[0]) / (2 * step), abs=0.15)
    assert rate.y[0] == pytest.approx((after.y[0] - before.y[0]) / (2 * step), abs=0.15)
    heading = math.atan2(rate.y[0], rate.x[0])
    yaw = float(trajectories.at(time).yaw[0])
    assert abs(math.remainder(heading - yaw, 2 * math.pi)) < 0.1, "vehicles look where they go"


@settings(max_examples=30, deadline=None)
@given(st.floats(-150, 150), st.floats(-30, 30))
def test_one_place_of_a_road_is_found_as_many_are(along: float, left: float) -> None:
    road = Road.winding(-100.0, 100.0, 0.3, 150.0, 1.0)
    many = road.locate(np.array([along]), np.array([left]))
    np.testing.assert_allclose(road.place(along, left), [float(v[0]) for v in many], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(-3, 3), st.floats(-20, 20), st.floats(-20, 20))
def test_ground_seen_from_a_frame_is_the_same_ground(
    x: float, y: float, yaw: float, u: float, v: float
) -> None:
    ground = Ground.random(np.random.default_rng(0), 0.03, 0.02)
    g = ground.seen_from(x, y, 1.5, yaw).astype(np.float64)
    seen = g[0] + g[1] * u + g[2] * v
    for at in (3, 7):
        seen += g[at] * math.sin(g[at + 1] * u + g[at + 2] * v + g[at + 3])
    there = x + math.cos(yaw) * u - math.sin(yaw) * v, y + math.sin(yaw) * u + math.cos(yaw) * v
    assert seen == pytest.approx(float(ground.height(*there)) - 1.5, abs=1e-4)
