from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_lab.simulation.rigid_motion import body_twist

Vector = st.tuples(*[st.floats(-1, 1)] * 3)


def turned(axis_times_angle: np.ndarray) -> np.ndarray:
    """Rotation [3, 3] by Rodrigues' formula."""
    angle = float(np.linalg.norm(axis_times_angle))
    x, y, z = axis_times_angle / angle if angle else (1.0, 0.0, 0.0)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


@settings(max_examples=100, deadline=None)
@given(Vector, Vector, st.floats(0, 5))
def test_twist_is_that_of_a_steady_motion(
    velocity: tuple[float, ...], rate: tuple[float, ...], time: float
) -> None:
    linear, angular = 20 * np.array(velocity), 3 * np.array(rate)

    def pose_at(stamp_ns: int) -> np.ndarray:
        pose = np.eye(4)
        pose[:3, :3] = turned(angular * stamp_ns * 1e-9)
        pose[:3, 3] = 1e5 + linear * stamp_ns * 1e-9
        return pose

    stamp_ns = round(time * 1e9)
    found_linear, found_angular = body_twist(pose_at, stamp_ns, 10_000_000)
    np.testing.assert_allclose(found_linear, pose_at(stamp_ns)[:3, :3].T @ linear, atol=1e-6)
    np.testing.assert_allclose(found_angular, angular, atol=1e-6)


def test_vehicle_that_stands_has_no_velocity() -> None:
    linear, angular = body_twist(lambda _: np.eye(4), 5, 10_000_000)
    assert [*linear, *angular] == pytest.approx([0] * 6)
