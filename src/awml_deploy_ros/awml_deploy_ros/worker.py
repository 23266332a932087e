"""Runs the pipeline in a thread of its own, so that the node keeps answering."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from awml_deploy_core.errors import AwmlDeployError, DeviceLostError, ImageError, PointCloudError
from awml_deploy_core.pipeline import InferencePipeline, StageClock, StageLatencies
from awml_deploy_ros.counters import DropReason, FrameCounters, NoPastSweeps
from awml_deploy_ros.frame import NO_TRANSPORT, ProcessedFrame, Transport
from awml_deploy_ros.input_queue import LatestInput, ReceivedInput
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.tf.problems import TransformProblem, TransformUnavailableError

SampleT = TypeVar("SampleT")


@dataclass(frozen=True, eq=False)
class Prepared(Generic[SampleT]):
    """What the pipeline is given for one input."""

    sample: SampleT
    num_past_sweeps: int = 0
    """Sweeps besides the current one."""
    no_past_sweeps: NoPastSweeps | None = NoPastSweeps.DISABLED
    """Why there is none; None if there is."""
    degraded: str = ""
    """What is wrong with a transform, so that a past sweep is missing."""


class Preparation(Protocol[SampleT]):
    """Makes samples of inputs; all but :meth:`passed_over` and :meth:`cancel` in the worker's thread."""

    def prepare(self, received: ReceivedInput, clock: StageClock) -> Prepared[SampleT]:
        """What the pipeline is given.

        Args:
            received: The input.
            clock: Gets the stages.

        Raises:
            AwmlDeployError: The input is dropped, for the reason that :func:`drop_reason` tells.
        """
        ...

    def published(self, prepared: Prepared[SampleT]) -> None:
        """Called once what became of a sample is published."""
        ...

    def passed_over(self, received: ReceivedInput) -> None:
        """Called with an input that a newer one superseded."""
        ...

    def cancel(self) -> None:
        """End a wait of :meth:`prepare` in another thread, and wait no more."""
        ...


def drop_reason(error: AwmlDeployError) -> DropReason:
    """Why an input that raised an error is dropped; one with a ``drop_reason`` says so itself."""
    own = getattr(error, "drop_reason", None)
    if isinstance(own, DropReason):
        return own
    if isinstance(error, PointCloudError | ImageError):
        return DropReason.MALFORMED
    if isinstance(error, TransformUnavailableError):
        late = error.transform_problem is TransformProblem.TOO_LATE
        return DropReason.LATE_TF if late else DropReason.MISSING_TF
    return DropReason.INFERENCE_ERROR


@dataclass(eq=False)
class InferenceWorker(Generic[SampleT]):
    """Takes the latest input, runs the pipeline, hands the frame to ``publish``."""

    pipeline: Callable[[], InferencePipeline[SampleT, Any]]
    """The pipeline of the next frame, so that options change between frames only."""
    preparation: Preparation[SampleT]
    counters: FrameCounters
    publish: Callable[[ProcessedFrame], None]
    report_error: Callable[[DropReason, AwmlDeployError], None]
    fatal: FatalErrors
    _queue: LatestInput = field(default_factory=LatestInput, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="inference")
        self._thread.start()

    def stop(self) -> None:
        """Finish the frame in work, count a waiting input as dropped and end the thread."""
        if left := self._queue.close():
            self.counters.count_dropped(DropReason.DEACTIVATED, left)
        self.preparation.cancel()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def submit(
        self, message: Any, transport: Transport = NO_TRANSPORT, arrival_ns: int | None = None
    ) -> None:
        """Take an input; returns at once.

        Args:
            message: A message with a header, or several that belong together.
            transport: How long it was on its way.
            arrival_ns: When it arrived, monotonic clock [ns]; None is now.
        """
        self.counters.count_received()
        now_ns = time.monotonic_ns()
        received = ReceivedInput(message, now_ns if arrival_ns is None else arrival_ns, transport, now_ns)
        left = self._queue.put(received)
        if left is received:
            self.counters.count_dropped(DropReason.DEACTIVATED)
        elif left is not None:
            self.counters.count_dropped(DropReason.SUPERSEDED)
            self.preparation.passed_over(left)

    def refuse(self, error: AwmlDeployError) -> None:
        """Count an input that arrived and is not worth a place in the queue."""
        self.counters.count_received()
        self._drop(error)

    def _run(self) -> None:
        with self.fatal:
            while (received := self._queue.take()) is not None:
                self.process(received)

    def process(self, received: ReceivedInput) -> None:
        """Run one input in the calling thread, as the worker's own does."""
        clock = StageClock()
        clock.add("queue", (time.monotonic_ns() - received.queued_ns) * 1e-6)
        try:
            prepared = self.preparation.prepare(received, clock)
            output, latencies, counts = self.pipeline().infer(prepared.sample)
        except DeviceLostError as error:
            self._drop(error)
            # No later frame can succeed: the process has to end, so that launch starts another.
            raise
        except AwmlDeployError as error:
            self._drop(error)
            return
        self.counters.count_processed(prepared.no_past_sweeps)
        stages: StageLatencies = clock.result() + latencies
        self.publish(
            ProcessedFrame(
                received.message.header,
                output,
                stages,
                dict(counts),
                received.arrival_ns,
                prepared.num_past_sweeps,
                prepared.no_past_sweeps,
                prepared.degraded,
                sample=prepared.sample,
                transport=received.transport,
            )
        )
        # After publication, which this would delay; not before the pipeline has taken the sample, or
        # one that it refuses would spoil the next frame.
        self.preparation.published(prepared)

    def _drop(self, error: AwmlDeployError) -> None:
        reason = drop_reason(error)
        self.counters.count_dropped(reason)
        self.report_error(reason, error)
