"""The poses of one frame in its parent over a bounded time."""

from __future__ import annotations

from bisect import bisect_left

from awml_deploy_ros.tf.pose import Pose, interpolated

_MAX_SAMPLES = 20_000
"""However fast somebody publishes: ten seconds at 2 kHz."""
_SPARE = 256
"""Samples beyond the history that are removed together, since removing one moves all others."""


class PoseHistory:
    """Poses by time, for as long as ``duration_ns`` before the newest.

    Args:
        parent: Frame of the poses.
        duration_ns: How much is kept [ns].
    """

    def __init__(self, parent: str, duration_ns: int) -> None:
        self.parent = parent
        self._duration_ns = duration_ns
        self._stamps: list[int] = []
        self._poses: list[Pose] = []

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def oldest_ns(self) -> int:
        """Earliest time at which there is a pose [ns]."""
        return self._stamps[self._first()]

    @property
    def newest_ns(self) -> int:
        """Latest time at which there is a pose [ns]."""
        return self._stamps[-1]

    def add(self, stamp_ns: int, pose: Pose) -> None:
        """Add a pose; one of the same time is replaced, one before the history is left out."""
        stamps = self._stamps
        if not stamps or stamp_ns > stamps[-1]:
            stamps.append(stamp_ns)
            self._poses.append(pose)
            self._prune()
            return
        at = bisect_left(stamps, stamp_ns)
        if stamps[at] == stamp_ns:
            self._poses[at] = pose
        elif stamp_ns >= stamps[-1] - self._duration_ns:
            stamps.insert(at, stamp_ns)
            self._poses.insert(at, pose)

    def at(self, stamp_ns: int) -> Pose | None:
        """The pose at a time, interpolated between its neighbours; None outside of the history."""
        stamps = self._stamps
        if not stamps or not self.oldest_ns <= stamp_ns <= stamps[-1]:
            return None
        at = bisect_left(stamps, stamp_ns)
        if stamps[at] == stamp_ns:
            return self._poses[at]
        before, after = stamps[at - 1], stamps[at]
        return interpolated(self._poses[at - 1], self._poses[at], (stamp_ns - before) / (after - before))

    def _first(self) -> int:
        return bisect_left(self._stamps, self._stamps[-1] - self._duration_ns)

    def _prune(self) -> None:
        first = max(self._first(), len(self._stamps) - _MAX_SAMPLES)
        if first > _SPARE or len(self._stamps) > _MAX_SAMPLES + _SPARE:
            del self._stamps[:first], self._poses[:first]
