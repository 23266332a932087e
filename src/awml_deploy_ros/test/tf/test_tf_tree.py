"""The tree of frames and the history of each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_of_poses import poses

from awml_deploy_ros.tf import (
    FrameTransform,
    Pose,
    TransformProblem,
    TransformTree,
    TransformUnavailableError,
)
from awml_deploy_ros.tf import history as history_module
from awml_deploy_ros.tf.history import PoseHistory
from awml_deploy_ros.tf.tree import HISTORY_NS

S = 1_000_000_000
STILL = (0.0, 0.0, 0.0, 1.0)


def at(x: float) -> Pose:
    return Pose((x, 0.0, 0.0), STILL)


def vehicle_tree(seconds: int = 3) -> TransformTree:
    """A vehicle that drives 10 m/s along x, a LiDAR 1 m ahead and 2 m above of base_link."""
    tree = TransformTree()
    tree.set(FrameTransform("base_link", "lidar", 0, Pose((1.0, 0.0, 2.0), STILL)), static=True)
    for second in range(seconds + 1):
        tree.set(FrameTransform("map", "base_link", second * S, at(10.0 * second)), static=False)
    return tree


def problem_of(tree: TransformTree, target: str, source: str, stamp_ns: int) -> TransformProblem:
    with pytest.raises(TransformUnavailableError) as caught:
        tree.lookup(target, source, stamp_ns)
    return caught.value.transform_problem


def test_a_chain_is_followed_and_interpolated() -> None:
    found = vehicle_tree().lookup("map", "lidar", int(1.25 * S))
    np.testing.assert_allclose(found @ [0, 0, 0, 1], [13.5, 0, 2, 1])


@given(poses(), poses(), poses(), poses())
def test_two_branches_meet_where_they_part(a: Pose, b: Pose, c: Pose, d: Pose) -> None:
    tree = TransformTree()
    for parent, child, pose in (
        ("map", "body", a),
        ("body", "one", b),
        ("body", "two", c),
        ("two", "tip", d),
    ):
        tree.set(FrameTransform(parent, child, 5, pose), static=parent != "body")
    expected = np.linalg.inv(b.matrix()) @ c.matrix() @ d.matrix()
    np.testing.assert_allclose(tree.lookup("one", "tip", 5), expected, atol=1e-7)
    np.testing.assert_allclose(
        tree.lookup("one", "tip", 5) @ tree.lookup("tip", "one", 5), np.eye(4), atol=1e-7
    )


def test_a_frame_is_itself_at_any_time() -> None:
    np.testing.assert_array_equal(TransformTree().lookup("any", "any", 0), np.eye(4))


def test_every_problem_has_its_reason() -> None:
    tree = vehicle_tree()
    tree.set(FrameTransform("elsewhere", "drone", 0, at(0.0)), static=True)
    assert problem_of(tree, "map", "lidra", 0) is TransformProblem.UNKNOWN_FRAME
    assert problem_of(tree, "odom", "lidar", 0) is TransformProblem.UNKNOWN_FRAME
    assert problem_of(tree, "map", "drone", 0) is TransformProblem.NOT_CONNECTED
    assert problem_of(tree, "map", "lidar", -1) is TransformProblem.TOO_EARLY
    assert problem_of(tree, "map", "lidar", 3 * S + 1) is TransformProblem.TOO_LATE
    with pytest.raises(TransformUnavailableError, match=r"base_link in map is known until 0\.500 s before"):
        tree.lookup("lidar", "map", int(3.5 * S))


def test_what_is_static_has_no_time() -> None:
    tree = vehicle_tree()
    np.testing.assert_allclose(tree.lookup("base_link", "lidar", 10**18)[:3, 3], [1, 0, 2])


def test_what_is_too_early_is_not_waited_for() -> None:
    tree = vehicle_tree()
    tree.set(FrameTransform("lidar", "gimbal", 100 * S, at(0.0)), static=False)
    assert problem_of(tree, "map", "gimbal", 50 * S) is TransformProblem.TOO_EARLY


def test_frames_in_a_circle_end() -> None:
    tree = TransformTree()
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a")):
        tree.set(FrameTransform(parent, child, 0, at(0.0)), static=True)
    tree.set(FrameTransform("map", "base_link", 0, at(0.0)), static=True)
    assert problem_of(tree, "map", "a", 0) is TransformProblem.NOT_CONNECTED


def test_another_parent_starts_anew() -> None:
    tree = vehicle_tree()
    tree.set(FrameTransform("odom", "base_link", 4 * S, at(0.0)), static=False)
    assert problem_of(tree, "map", "lidar", 1 * S) is TransformProblem.UNKNOWN_FRAME
    assert problem_of(tree, "odom", "lidar", 1 * S) is TransformProblem.TOO_EARLY


def test_clearing_keeps_what_is_static() -> None:
    tree = vehicle_tree()
    tree.clear()
    tree.lookup("base_link", "lidar", 0)
    assert problem_of(tree, "map", "lidar", S) is TransformProblem.UNKNOWN_FRAME


def test_the_history_is_bounded_in_time() -> None:
    tree = TransformTree()
    for step in range(5000):
        tree.set(FrameTransform("map", "base_link", step * S // 100, at(float(step))), static=False)
    assert (
        problem_of(tree, "map", "base_link", 49_990_000_000 - HISTORY_NS - 1) is TransformProblem.TOO_EARLY
    )
    assert tree.lookup("map", "base_link", 49_990_000_000 - HISTORY_NS)[0, 3] == 3999
    assert len(tree._moving["base_link"]) < 1500


def test_the_history_is_bounded_in_number(monkeypatch) -> None:
    monkeypatch.setattr(history_module, "_MAX_SAMPLES", 100)
    history = PoseHistory("map", HISTORY_NS)
    for step in range(2000):
        history.add(step, at(float(step)))
    assert len(history) <= 100 + history_module._SPARE
    assert history.at(1950) == at(1950.0)


@given(st.permutations(range(12)), st.integers(0, 11 * 10))
def test_the_order_of_arrival_does_not_matter(order: list[int], stamp: int) -> None:
    history = PoseHistory("map", HISTORY_NS)
    for step in order:
        history.add(step * 10, at(float(step)))
    pose = history.at(stamp)
    assert pose is not None
    assert pose.translation[0] == pytest.approx(stamp / 10)


def test_the_later_of_two_transforms_of_one_time_counts() -> None:
    history = PoseHistory("map", HISTORY_NS)
    for x in (1.0, 2.0):
        history.add(5, at(x))
    assert (len(history), history.at(5)) == (1, at(2.0))
