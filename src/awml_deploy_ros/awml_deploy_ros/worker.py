"""Runs the pipeline in a thread of its own, so that the node keeps answering."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import AwmlDeployError, DeviceLostError, ImageError, PointCloudError
from awml_deploy_core.pipeline import InferencePipeline, StageClock, StageLatencies
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_ros.cloud_input import LatestCloud, ReceivedCloud
from awml_deploy_ros.counters import DropReason, FrameCounters
from awml_deploy_ros.densification import Densifier, MissingTransformError
from awml_deploy_ros.frame import NO_TRANSPORT, ProcessedFrame, Transport
from awml_deploy_ros.process import FatalErrors

DetectionPipeline = InferencePipeline[PointCloudFrame, Detections]


def _kinds(frame: PointCloudFrame) -> tuple[Any, ...]:
    columns = frame.sweeps[0].columns
    found = (columns.x, columns.y, columns.z, columns.intensity)
    return tuple(None if column is None else column.dtype for column in found)


@dataclass(eq=False)
class InferenceWorker:
    """Takes the latest cloud, runs the pipeline, hands the frame to ``publish``."""

    pipeline: Callable[[], DetectionPipeline]
    """The pipeline of the next frame, so that options change between frames only."""
    decode: Callable[[Any], PointCloudFrame]
    """Turns a sensor_msgs/PointCloud2 into a frame, or raises a PointCloudError."""
    densifier: Densifier
    counters: FrameCounters
    publish: Callable[[ProcessedFrame], None]
    report_error: Callable[[DropReason, AwmlDeployError], None]
    fatal: FatalErrors
    num_past: int = 0
    """Past sweeps in use, so how many superseded clouds are worth remembering."""
    _superseded: deque[ReceivedCloud] = field(default_factory=deque, init=False)
    _queue: LatestCloud = field(default_factory=LatestCloud, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="inference")
        self._thread.start()

    def stop(self) -> None:
        """Finish the frame in work, count a waiting cloud as dropped and end the thread."""
        if left := self._queue.close():
            self.counters.count_dropped(DropReason.DEACTIVATED, left)
        self.densifier.cancel()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def submit(self, message: Any, transport: Transport = NO_TRANSPORT) -> None:
        """Take a sensor_msgs/PointCloud2; returns at once."""
        self.counters.count_received()
        cloud = ReceivedCloud(message, time.monotonic_ns(), transport)
        left = self._queue.put(cloud)
        if left is cloud:
            self.counters.count_dropped(DropReason.DEACTIVATED)
        elif left is not None:
            self.counters.count_dropped(DropReason.SUPERSEDED)
            self.pass_over(left)

    def pass_over(self, cloud: ReceivedCloud) -> None:
        """Keep a superseded cloud as a past sweep of the next."""
        self._superseded.append(cloud)
        # Appending and popping are atomic, and only one thread appends.
        while len(self._superseded) > self.num_past:
            self._superseded.popleft()

    def _run(self) -> None:
        with self.fatal:
            while (cloud := self._queue.take()) is not None:
                self.process(cloud)

    def process(self, cloud: ReceivedCloud) -> None:
        """Run one cloud in the calling thread, as the worker's own does."""
        clock = StageClock()
        clock.add("queue", (time.monotonic_ns() - cloud.arrival_ns) * 1e-6)
        try:
            with clock.stage("decode"):
                sample = self.decode(cloud.message)
            if self._superseded:
                with clock.stage("remember"):
                    self._remember_superseded(sample)
            densified = self.densifier.densify(sample, clock)
            detections, latencies, counts = self.pipeline().infer(densified.frame)
        except (PointCloudError, ImageError) as error:
            self._drop(DropReason.MALFORMED, error)
        except MissingTransformError as error:
            self._drop(DropReason(error.missing.value), error)
        except DeviceLostError as error:
            self._drop(DropReason.INFERENCE_ERROR, error)
            # No later frame can succeed: the process has to end, so that launch starts another.
            raise
        except AwmlDeployError as error:
            self._drop(DropReason.INFERENCE_ERROR, error)
        else:
            self.counters.count_processed(densified.missing)
            stages: StageLatencies = clock.result() + latencies
            self.publish(
                ProcessedFrame(
                    cloud.message.header,
                    detections,
                    stages,
                    dict(counts),
                    cloud.arrival_ns,
                    densified.num_past_sweeps,
                    densified.missing,
                    densified.detail,
                    sample=densified.frame,
                    transport=cloud.transport,
                )
            )
            # After publication, which this would delay; not before the pipeline has taken the sweep,
            # or one that it refuses would spoil the next frame.
            self.densifier.remember(sample)

    def _remember_superseded(self, current: PointCloudFrame) -> None:
        """Give the densifier the clouds that came between the last frame and this one.

        They were counted when they were superseded; one that the pipeline might refuse is left out.
        """
        kinds = _kinds(current)
        while True:
            try:
                cloud = self._superseded.popleft()
            except IndexError:
                return
            try:
                sample = self.decode(cloud.message)
            except PointCloudError:
                continue
            if sample.stamp_ns < current.stamp_ns and _kinds(sample) == kinds:
                self.densifier.remember(sample)

    def _drop(self, reason: DropReason, error: AwmlDeployError) -> None:
        self.counters.count_dropped(reason)
        self.report_error(reason, error)
