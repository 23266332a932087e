"""The adapter of tf2, which is not on PyPI: on a stand-in of tf2_ros, and on tf2 itself where it is."""

from types import SimpleNamespace

import numpy as np
import pytest

from awml_deploy_ros.tf import (
    FrameTransform,
    Pose,
    TransformProblem,
    TransformTree,
    TransformUnavailableError,
    tf2_store,
)
from awml_deploy_ros.tf.tf2_store import Tf2Store, open_store

S = 1_000_000_000


class FakeLookupError(Exception):
    pass


class FakeConnectivityError(Exception):
    pass


class FakeExtrapolationError(Exception):
    pass


class FakeTf2Buffer:
    """Answers as tf2_ros.Buffer does, with what a test gives it."""

    def __init__(self, cache_time) -> None:
        self.cache_s = cache_time.nanoseconds * 1e-9
        self.added: list = []
        self.failure: Exception | None = None
        self.cleared = False

    def set_transform(self, message, authority) -> None:
        self.added.append(message)

    def set_transform_static(self, message, authority) -> None:
        self.added.append(message)

    def clear(self) -> None:
        self.cleared = True

    def get_latest_common_time(self, target, source):
        return SimpleNamespace(nanoseconds=5 * S)

    def lookup_transform_core(self, target, source, time):
        if self.failure:
            raise self.failure
        return self.added[-1]


FAKE_TF2 = SimpleNamespace(
    Buffer=FakeTf2Buffer,
    LookupException=FakeLookupError,
    ConnectivityException=FakeConnectivityError,
    ExtrapolationException=FakeExtrapolationError,
)


@pytest.fixture
def store() -> Tf2Store:
    return Tf2Store(FAKE_TF2)


def test_with_fake_tf2_a_transform_comes_back(store: Tf2Store) -> None:
    pose = Pose((1.0, 2.0, 3.0), (0.0, 0.0, 0.6, 0.8))
    store.set(FrameTransform("map", "base_link", 5 * S + 7, pose), static=False)
    (message,) = store._buffer.added
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (5, 7)
    assert (message.header.frame_id, message.child_frame_id) == ("map", "base_link")
    np.testing.assert_allclose(store.lookup("map", "base_link", 5 * S), pose.matrix(), atol=1e-12)
    assert store._buffer.cache_s == 10.0
    store.clear()
    assert store._buffer.cleared


@pytest.mark.parametrize(
    ("failure", "second", "problem"),
    [
        (FakeLookupError(), 5, TransformProblem.UNKNOWN_FRAME),
        (FakeConnectivityError(), 5, TransformProblem.NOT_CONNECTED),
        (FakeExtrapolationError(), 6, TransformProblem.TOO_LATE),
        (FakeExtrapolationError(), 4, TransformProblem.TOO_EARLY),
        (None, 0, TransformProblem.TOO_EARLY),
    ],
)
def test_with_fake_tf2_every_exception_is_a_reason(store: Tf2Store, failure, second, problem) -> None:
    store._buffer.failure = failure
    with pytest.raises(TransformUnavailableError) as caught:
        store.lookup("map", "base_link", second * S)
    assert caught.value.transform_problem is problem


def test_without_tf2_the_tree_is_used(monkeypatch) -> None:
    monkeypatch.setattr(tf2_store, "find_spec", lambda name: None)
    assert isinstance(open_store(), TransformTree)


def test_real_tf2_answers_as_the_tree_does() -> None:
    tf2_ros = pytest.importorskip("tf2_ros")
    stores = (Tf2Store(tf2_ros), TransformTree())
    for one in stores:
        one.set(
            FrameTransform("base_link", "lidar", 0, Pose((1.0, 0.0, 2.0), (0.0, 0.0, 0.6, 0.8))),
            static=True,
        )
        for second, rotation in ((1, (0.0, 0.0, 0.0, 1.0)), (2, (0.0, 0.6, 0.0, 0.8))):
            one.set(
                FrameTransform("map", "base_link", second * S, Pose((second, 0.0, 0.0), rotation)),
                static=False,
            )
    first, second = (one.lookup("map", "lidar", int(1.3 * S)) for one in stores)
    np.testing.assert_allclose(first, second, atol=1e-9)
    for frames, stamp in ((("map", "other"), S), (("map", "lidar"), S // 2), (("map", "lidar"), 3 * S)):
        problems = []
        for one in stores:
            with pytest.raises(TransformUnavailableError) as caught:
                one.lookup(*frames, stamp)
            problems.append(caught.value.transform_problem)
        assert problems[0] is problems[1]
