"""Poses and what lies between two of them, against formulas of another kind."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_of_poses import poses

from awml_deploy_core.errors import TransformError
from awml_deploy_ros.tf.pose import FrameTransform, Pose, interpolated, inverse

IDENTITY = Pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
FRACTIONS = st.floats(0.0, 1.0)


def angle_of(rotation: np.ndarray) -> float:
    """Angle of a rotation matrix [rad], exact near 0 and pi alike."""
    skew = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    return math.atan2(np.linalg.norm(skew), np.trace(rotation) - 1.0)


def yawed(angle: float) -> Pose:
    return Pose((0.0, 0.0, 0.0), (0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2)))


@given(poses())
def test_a_matrix_is_rigid_and_its_inverse_undoes_it(pose: Pose) -> None:
    matrix = pose.matrix()
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(inverse(matrix) @ matrix, np.eye(4), atol=1e-8)


def test_a_quarter_turn_to_the_left_takes_x_to_y() -> None:
    turned = yawed(math.pi / 2).matrix() @ [1.0, 0.0, 0.0, 1.0]
    np.testing.assert_allclose(turned, [0.0, 1.0, 0.0, 1.0], atol=1e-12)


@given(poses(), poses(), FRACTIONS)
def test_the_angle_and_the_way_are_divided_by_the_fraction(a: Pose, b: Pose, fraction: float) -> None:
    between = interpolated(a, b, fraction)
    first, second, middle = (pose.matrix() for pose in (a, b, between))
    whole = angle_of(first[:3, :3].T @ second[:3, :3])
    assert angle_of(first[:3, :3].T @ middle[:3, :3]) == pytest.approx(fraction * whole, abs=1e-4)
    assert angle_of(middle[:3, :3].T @ second[:3, :3]) == pytest.approx((1 - fraction) * whole, abs=1e-4)
    way = np.subtract(b.translation, a.translation)
    np.testing.assert_allclose(np.subtract(between.translation, a.translation), fraction * way, atol=1e-7)


@given(poses(), poses(), FRACTIONS)
def test_the_sign_of_a_quaternion_means_nothing(a: Pose, b: Pose, fraction: float) -> None:
    negative = Pose(b.translation, tuple(-value for value in b.rotation))
    one, two = (interpolated(a, end, fraction).matrix() for end in (b, negative))
    # Half a turn apart there are two shortest ways.
    if angle_of(a.matrix()[:3, :3].T @ b.matrix()[:3, :3]) < math.pi - 1e-3:
        np.testing.assert_allclose(one, two, atol=1e-6)


@given(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5), FRACTIONS)
def test_a_turn_about_one_axis_is_linear_in_its_angle(start: float, end: float, fraction: float) -> None:
    between = interpolated(yawed(start), yawed(end), fraction)
    expected = yawed(start + fraction * (end - start)).matrix()
    # Turns of a few degrees are interpolated by the chord.
    np.testing.assert_allclose(between.matrix(), expected, atol=2e-6)


@pytest.mark.parametrize(
    ("parent", "child", "translation", "rotation", "problem"),
    [
        ("", "b", (0, 0, 0), (0, 0, 0, 1), "does not join two frames"),
        ("/a", "a", (0, 0, 0), (0, 0, 0, 1), "does not join two frames"),
        ("a", "b", (math.nan, 0, 0), (0, 0, 0, 1), "is not finite"),
        ("a", "b", (0, 0, 0), (0, 0, 0, math.inf), "is not finite"),
        ("a", "b", (0, 0, 0), (0, 0, 0, 0), "no unit quaternion"),
    ],
)
def test_what_is_no_transform_is_refused(parent, child, translation, rotation, problem) -> None:
    with pytest.raises(TransformError, match=problem):
        FrameTransform.checked(parent, child, 0, translation, rotation)


def test_a_transform_of_a_message_is_made_exact() -> None:
    found = FrameTransform.checked("/map", "/base_link", 7, (1.0, 2.0, 3.0), (0.0, 0.0, 0.0, 1.004))
    assert (found.parent, found.child, found.stamp_ns) == ("map", "base_link", 7)
    assert found.pose.rotation == IDENTITY.rotation
