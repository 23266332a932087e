"""From a cloud to the frame that a detector is given: decoded, with past sweeps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from awml_deploy_core.errors import PointCloudError
from awml_deploy_core.pipeline import StageClock
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_ros.densification import Densifier
from awml_deploy_ros.input_queue import ReceivedInput
from awml_deploy_ros.worker import Prepared


def _kinds(frame: PointCloudFrame) -> tuple[Any, ...]:
    columns = frame.sweeps[0].columns
    found = (columns.x, columns.y, columns.z, columns.intensity)
    return tuple(None if column is None else column.dtype for column in found)


class CloudPreparation:
    """Implements :class:`~awml_deploy_ros.worker.Preparation` for clouds.

    Args:
        decode: Turns a sensor_msgs/PointCloud2 into a frame, or raises a PointCloudError.
        densifier: Adds past sweeps.
        num_past: Past sweeps in use, so how many superseded clouds are worth remembering.
    """

    def __init__(
        self, decode: Callable[[Any], PointCloudFrame], densifier: Densifier, num_past: int = 0
    ) -> None:
        self._decode = decode
        self._densifier = densifier
        self._num_past = num_past
        self._superseded: deque[ReceivedInput] = deque()

    def prepare(self, received: ReceivedInput, clock: StageClock) -> Prepared[PointCloudFrame]:
        with clock.stage("decode"):
            current = self._decode(received.message)
        if self._superseded:
            with clock.stage("remember"):
                self._remember_superseded(current)
        densified = self._densifier.densify(current, clock)
        return Prepared(densified.frame, densified.num_past_sweeps, densified.missing, densified.detail)

    def published(self, prepared: Prepared[PointCloudFrame]) -> None:
        self._densifier.remember(prepared.sample)

    def passed_over(self, received: ReceivedInput) -> None:
        """Keep a superseded cloud as a past sweep of the next."""
        self._superseded.append(received)
        # Appending and popping are atomic, and only one thread appends.
        while len(self._superseded) > self._num_past:
            self._superseded.popleft()

    def cancel(self) -> None:
        self._densifier.cancel()

    def _remember_superseded(self, current: PointCloudFrame) -> None:
        """Give the densifier the clouds that came between the last frame and this one.

        They were counted when they were superseded; one that the pipeline might refuse is left out.
        """
        kinds = _kinds(current)
        while True:
            try:
                received = self._superseded.popleft()
            except IndexError:
                return
            try:
                sample = self._decode(received.message)
            except PointCloudError:
                continue
            if sample.stamp_ns < current.stamp_ns and _kinds(sample) == kinds:
                self._densifier.remember(sample)
