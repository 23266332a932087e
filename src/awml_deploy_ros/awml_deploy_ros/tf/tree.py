"""A tree of frames with a history, for where tf2 is not installed.

It answers as tf2 does, except that it never takes the latest transform for one that is not there:
a time of zero is a time like any other.
"""

from __future__ import annotations

import numpy as np

from awml_deploy_ros.tf.history import PoseHistory
from awml_deploy_ros.tf.pose import FrameTransform, Matrix, Pose, inverse
from awml_deploy_ros.tf.problems import TransformProblem, TransformUnavailableError

HISTORY_NS = 10_000_000_000
"""What tf2 keeps unless told otherwise [ns]."""


class TransformTree:
    """Frames, each in its parent; not thread-safe.

    Args:
        history_ns: How much of a moving frame is kept [ns].
    """

    def __init__(self, history_ns: int = HISTORY_NS) -> None:
        self._history_ns = history_ns
        self._static: dict[str, tuple[str, Pose]] = {}
        self._moving: dict[str, PoseHistory] = {}

    def set(self, transform: FrameTransform, *, static: bool) -> None:
        """Add a transform. A frame that gets another parent, or becomes static, starts anew."""
        child = transform.child
        if static:
            self._static[child] = (transform.parent, transform.pose)
            self._moving.pop(child, None)
            return
        self._static.pop(child, None)
        history = self._moving.get(child)
        if history is None or history.parent != transform.parent:
            history = self._moving[child] = PoseHistory(transform.parent, self._history_ns)
        history.add(transform.stamp_ns, transform.pose)

    def clear(self) -> None:
        """Forget what moves; static frames stay."""
        self._moving.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """float64 [4, 4] from the frame ``source`` to the frame ``target`` at a time [ns].

        Raises:
            TransformUnavailableError: There is none at exactly this time.
        """
        if target == source:
            return np.eye(4)
        up_source, up_target = self._way_up(source), self._way_up(target)
        common = next((frame for frame in up_source if frame in up_target), None)
        if common is None:
            raise self._not_joined(target, source)
        upwards = up_source[: up_source.index(common)]
        downwards = up_target[: up_target.index(common)]
        problems = [self._missing(child, stamp_ns) for child in (*upwards, *downwards)]
        # What is too early stays so, however long one waits for what is too late.
        for wanted in (TransformProblem.TOO_EARLY, TransformProblem.TOO_LATE):
            for problem, detail in filter(None, problems):
                if problem is wanted:
                    raise TransformUnavailableError(problem, target, source, detail)
        return inverse(self._chain(downwards, stamp_ns)) @ self._chain(upwards, stamp_ns)

    def _parent(self, frame: str) -> str | None:
        if frame in self._static:
            return self._static[frame][0]
        history = self._moving.get(frame)
        return None if history is None else history.parent

    def _way_up(self, frame: str) -> list[str]:
        """The frame and all above it; ends where it would meet itself."""
        way = [frame]
        while (parent := self._parent(way[-1])) is not None and parent not in way:
            way.append(parent)
        return way

    def _chain(self, frames: list[str], stamp_ns: int) -> Matrix:
        """From the first frame to the parent of the last."""
        matrix = np.eye(4)
        for frame in frames:
            pose = self._static[frame][1] if frame in self._static else self._moving[frame].at(stamp_ns)
            assert pose is not None
            matrix = pose.matrix() @ matrix
        return matrix

    def _missing(self, child: str, stamp_ns: int) -> tuple[TransformProblem, str] | None:
        """Why there is no pose of a frame in its parent at a time; None if there is one."""
        history = self._moving.get(child)
        if history is None or history.oldest_ns <= stamp_ns <= history.newest_ns:
            return None
        name = f"{child} in {history.parent}"
        if stamp_ns < history.oldest_ns:
            ahead = (history.oldest_ns - stamp_ns) * 1e-9
            return TransformProblem.TOO_EARLY, f"{name} is kept from {ahead:.3f} s after the time on"
        behind = (stamp_ns - history.newest_ns) * 1e-9
        return TransformProblem.TOO_LATE, f"{name} is known until {behind:.3f} s before the time"

    def _not_joined(self, target: str, source: str) -> TransformUnavailableError:
        children = self._static.keys() | self._moving.keys()
        parents = {self._parent(child) for child in children}
        unknown = [frame for frame in (target, source) if frame not in children | parents]
        if unknown:
            detail = f"nobody has published {' or '.join(unknown)}"
            return TransformUnavailableError(TransformProblem.UNKNOWN_FRAME, target, source, detail)
        return TransformUnavailableError(
            TransformProblem.NOT_CONNECTED, target, source, "no chain of transforms joins the frames"
        )
