"""Keeps transforms in tf2's own buffer, where tf2 is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time

from awml_deploy_ros.tf.buffer import TransformStore
from awml_deploy_ros.tf.pose import FrameTransform, Matrix, Pose, normalised
from awml_deploy_ros.tf.problems import TransformProblem, TransformUnavailableError
from awml_deploy_ros.tf.tree import HISTORY_NS, TransformTree

_AUTHORITY = "awml_deploy_ros"


def open_store() -> TransformStore:
    """A store of tf2 where it is installed, else one of our own."""
    if find_spec("tf2_ros") is None:
        return TransformTree()
    import tf2_ros

    return Tf2Store(tf2_ros)


class Tf2Store:
    """A ``tf2_ros.Buffer`` as a store.

    Args:
        tf2: The module ``tf2_ros``.
        history_ns: How much of a moving frame is kept [ns].
    """

    def __init__(self, tf2: Any, history_ns: int = HISTORY_NS) -> None:
        self._tf2 = tf2
        self._buffer = tf2.Buffer(cache_time=Duration(nanoseconds=history_ns))

    def set(self, transform: FrameTransform, *, static: bool) -> None:
        """Add a transform."""
        add = self._buffer.set_transform_static if static else self._buffer.set_transform
        add(_message(transform), _AUTHORITY)

    def clear(self) -> None:
        """Forget what moves; tf2 keeps static frames."""
        self._buffer.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """float64 [4, 4] from the frame ``source`` to the frame ``target`` at a time [ns].

        Raises:
            TransformUnavailableError: There is none at exactly this time.
        """
        if target == source:
            return np.eye(4)
        tf2 = self._tf2
        try:
            if stamp_ns <= 0:
                # To tf2 zero means the latest transform, whatever its time.
                raise _error(TransformProblem.TOO_EARLY, target, source, "the time is zero")
            found = self._buffer.lookup_transform_core(target, source, Time(nanoseconds=stamp_ns))
        except tf2.LookupException as error:
            raise _error(TransformProblem.UNKNOWN_FRAME, target, source, error) from error
        except tf2.ConnectivityException as error:
            raise _error(TransformProblem.NOT_CONNECTED, target, source, error) from error
        except tf2.ExtrapolationException as error:
            newest = self._buffer.get_latest_common_time(target, source)
            late = stamp_ns > newest.nanoseconds
            problem = TransformProblem.TOO_LATE if late else TransformProblem.TOO_EARLY
            raise _error(problem, target, source, error) from error
        move, turn = found.transform.translation, found.transform.rotation
        return Pose((move.x, move.y, move.z), normalised((turn.x, turn.y, turn.z, turn.w))).matrix()


def _error(problem: TransformProblem, target: str, source: str, detail: object) -> Exception:
    return TransformUnavailableError(problem, target, source, " ".join(str(detail).split()))


def _message(transform: FrameTransform) -> Any:
    message = TransformStamped(child_frame_id=transform.child)
    message.header.frame_id = transform.parent
    seconds, nanoseconds = divmod(transform.stamp_ns, 1_000_000_000)
    message.header.stamp = TimeMessage(sec=seconds, nanosec=nanoseconds)
    move, turn = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z = transform.pose.translation
    turn.x, turn.y, turn.z, turn.w = transform.pose.rotation
    return message
