"""Past sweeps beside the current one, moved into its frame by way of a frame fixed to the world."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import TransformError
from awml_deploy_core.pipeline import StageClock
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_ros.counters import DropReason, NoPastSweeps
from awml_deploy_ros.settings import DensificationSettings
from awml_deploy_ros.tf import TransformBuffer, TransformProblem, TransformUnavailableError
from awml_deploy_ros.tf.pose import Matrix, inverse


@dataclass(frozen=True, eq=False)
class DensifiedFrame:
    """A frame for the pipeline, and why it has no past sweep if it has none."""

    frame: PointCloudFrame
    """The current sweep, then past sweeps, the latest first."""
    missing: NoPastSweeps | None = None
    detail: str = ""
    """What is wrong with a transform, if that is why."""

    @property
    def num_past_sweeps(self) -> int:
        return len(self.frame.sweeps) - 1


class MissingTransformError(TransformError):
    """A frame is to be dropped, since its past sweeps cannot be moved into it."""

    def __init__(self, missing: NoPastSweeps, cause: TransformUnavailableError) -> None:
        self.missing = missing
        self.drop_reason = DropReason(missing.value)
        super().__init__(
            cause.subject,
            cause.problem,
            hint="Publish the transform, or set densification_params.on_missing_tf to single_sweep.",
        )


class Densifier(Protocol):
    """Adds past sweeps to a frame; used by one thread."""

    def densify(self, frame: PointCloudFrame, clock: StageClock) -> DensifiedFrame:
        """The frame with past sweeps.

        Args:
            frame: The current sweep alone.
            clock: Gets the stages.

        Raises:
            MissingTransformError: A transform is missing, and such frames are to be dropped.
        """
        ...

    def remember(self, frame: PointCloudFrame) -> None:
        """Keep the current sweep of a frame that the pipeline has taken, or would have."""
        ...

    def cancel(self) -> None:
        """End a wait in another thread, and wait no more."""
        ...


class NoDensifier:
    """The current sweep alone; needs no transforms."""

    def densify(self, frame: PointCloudFrame, clock: StageClock) -> DensifiedFrame:
        return DensifiedFrame(frame, NoPastSweeps.DISABLED)

    def remember(self, frame: PointCloudFrame) -> None:
        pass

    def cancel(self) -> None:
        pass


@dataclass(frozen=True, eq=False)
class _PastSweep:
    columns: PointColumns
    frame_id: str
    stamp_ns: int


class SweepDensifier:
    """Keeps the last sweeps and moves them into the current frame.

    A past point p becomes ``inverse(world<-current at t) (world<-past at t_past) p``. Both poses
    are asked for when the frame is in work, at the exact stamps: a pose that was late for its own
    frame serves the next one all the same.

    Args:
        settings: How many sweeps, which world frame, what to do without a transform.
        transforms: Where the poses come from.
    """

    def __init__(self, settings: DensificationSettings, transforms: TransformBuffer) -> None:
        self._settings = settings
        self._transforms = transforms
        self._past: deque[_PastSweep] = deque(maxlen=settings.num_past_frames)
        self._last_stamp_ns: int | None = None

    def densify(self, frame: PointCloudFrame, clock: StageClock) -> DensifiedFrame:
        usable, missing = self._usable(frame)
        # Without a past sweep no transform is needed, but where frames without one are dropped it is
        # what decides.
        wanted = bool(usable) or self._settings.drop_without_tf
        unavailable = None
        past: tuple[Sweep, ...] = ()
        with clock.stage("tf_wait"):
            try:
                to_world = self._to_world(frame.frame_id, frame.stamp_ns, wait=True) if wanted else None
            except TransformUnavailableError as error:
                unavailable, to_world = error, None
        with clock.stage("densify"):
            try:
                if to_world is not None:
                    from_world = inverse(to_world)
                    past = tuple(self._moved(sweep, frame, from_world) for sweep in usable)
            except TransformUnavailableError as error:
                unavailable = error
        if unavailable is not None:
            return self._without_transform(frame, unavailable)
        if not past:
            return DensifiedFrame(frame, missing)
        return DensifiedFrame(PointCloudFrame((*frame.sweeps, *past), frame.frame_id, frame.stamp_ns))

    def _without_transform(
        self, frame: PointCloudFrame, error: TransformUnavailableError
    ) -> DensifiedFrame:
        late = error.transform_problem is TransformProblem.TOO_LATE
        missing = NoPastSweeps.LATE_TF if late else NoPastSweeps.MISSING_TF
        if self._settings.drop_without_tf:
            raise MissingTransformError(missing, error) from error
        return DensifiedFrame(frame, missing, str(error))

    def remember(self, frame: PointCloudFrame) -> None:
        if self._past and self._past[0].stamp_ns == frame.stamp_ns:
            self._past.popleft()
        if self._past and frame.stamp_ns < self._past[0].stamp_ns:
            # Time jumped back, of which the next frame takes care.
            return
        columns = _copied(frame.sweeps[0].columns)
        self._past.appendleft(_PastSweep(columns, frame.frame_id, frame.stamp_ns))

    def cancel(self) -> None:
        self._transforms.close()

    def _usable(self, frame: PointCloudFrame) -> tuple[list[_PastSweep], NoPastSweeps | None]:
        """Past sweeps that fit a frame, or why there is none."""
        last_ns, self._last_stamp_ns = self._last_stamp_ns, frame.stamp_ns
        if last_ns is not None and frame.stamp_ns < last_ns:
            self._past.clear()
            return [], NoPastSweeps.TIME_JUMPED_BACK
        while self._past and self._age_ms(self._past[-1], frame) > self._settings.max_past_sweep_age_ms:
            self._past.pop()
            if not self._past:
                return [], NoPastSweeps.PAST_TOO_OLD
        if not self._past:
            return [], NoPastSweeps.FIRST_FRAME
        earlier = [sweep for sweep in self._past if sweep.stamp_ns < frame.stamp_ns]
        usable = [sweep for sweep in earlier if sweep.frame_id == frame.frame_id]
        if usable:
            return usable, None
        return [], NoPastSweeps.OTHER_FRAME_ID if earlier else NoPastSweeps.SAME_STAMP

    @staticmethod
    def _age_ms(sweep: _PastSweep, frame: PointCloudFrame) -> float:
        return (frame.stamp_ns - sweep.stamp_ns) * 1e-6

    def _to_world(self, frame_id: str, stamp_ns: int, *, wait: bool = False) -> Matrix:
        timeout_s = self._settings.tf_timeout_ms * 1e-3 if wait else 0.0
        world = self._settings.world_frame_id
        return self._transforms.lookup(world, frame_id.lstrip("/"), stamp_ns, timeout_s)

    def _moved(self, sweep: _PastSweep, frame: PointCloudFrame, from_world: Matrix) -> Sweep:
        transform = from_world @ self._to_world(sweep.frame_id, sweep.stamp_ns)
        return Sweep(sweep.columns, (frame.stamp_ns - sweep.stamp_ns) * 1e-9, transform)


def _copied(columns: PointColumns) -> PointColumns:
    """The columns without the message they are views of, which is larger and not contiguous."""

    def copied(column: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
        if column is None:
            return None
        # The pipeline refuses or converts other types as it does for a current sweep.
        return np.array(column, column.dtype.newbyteorder("="))

    return PointColumns(
        copied(columns.x),
        copied(columns.y),
        copied(columns.z),
        copied(columns.intensity),  # type: ignore[arg-type]
        columns.identity,
    )
