"""A bag through the node's own worker: no DDS, no clock, as fast as it goes, the same every time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import AwmlDeployError, BagError, PointCloudError
from awml_deploy_core.pipeline import InferencePipeline, StageClock
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_ros.bag_clouds import CloudTopic, stamp_ns
from awml_deploy_ros.bag_types import typestore_for
from awml_deploy_ros.cloud_input import field_mapping, frame_of
from awml_deploy_ros.cloud_preparation import CloudPreparation
from awml_deploy_ros.counters import DropReason, FrameCounters
from awml_deploy_ros.densification import DensifiedFrame, Densifier, NoDensifier, SweepDensifier
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.input_queue import ReceivedInput
from awml_deploy_ros.live.recording import RecordedFrame
from awml_deploy_ros.model import open_bundle, warm_up, with_options
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.replay.frames import PROCESSED, CloudFate
from awml_deploy_ros.replay.node_settings import NodeValues
from awml_deploy_ros.replay.timeline import BagTimeline, RecordedCloud, RecordedTransforms, decode_cloud
from awml_deploy_ros.tf.tf2_store import open_store
from awml_deploy_ros.worker import InferenceWorker


@dataclass(frozen=True, eq=False)
class OpenNode:
    """What the configured node has: its pipeline, and what it is told."""

    values: NodeValues
    pipeline: InferencePipeline[PointCloudFrame, Detections]
    class_names: tuple[str, ...]


@contextmanager
def open_node(values: NodeValues) -> Iterator[OpenNode]:
    """Open and warm up the model as the node does when it is configured.

    Raises:
        AwmlDeployError: The bundle is missing or corrupt, or the backend cannot run here.
    """
    opened = open_bundle(values.settings).pipeline
    try:
        warm_up(opened, values.settings.warm_up_frames)
        # Not those of its configuration: a remapper may add some.
        empty = PointCloudFrame.single(PointColumns.from_array(np.zeros((0, 4), np.float32)))
        names = opened.infer(empty).output.class_names
        yield OpenNode(values, with_options(opened, values.options), names)
    finally:
        opened.close()


@dataclass(frozen=True, eq=False)
class ReplayedCloud:
    """One cloud that went through the worker."""

    fate: CloudFate
    size: int
    """Bytes of the serialised cloud."""
    header: Any
    """std_msgs/Header, None if the cloud could not be read."""
    sample: PointCloudFrame | None
    """What the pipeline was given: only until the next cloud is asked for."""


def replayed(
    source: CloudTopic,
    node: OpenNode,
    *,
    only: Collection[int] | None = None,
    superseded: Collection[int] = (),
    notes: list[str],
) -> Iterator[ReplayedCloud]:
    """Every cloud of a bag through the pipeline, one after the other.

    Args:
        source: The clouds.
        node: An open node; its pipeline is used by nobody else meanwhile.
        only: Positions of the clouds that the node looks at; None is all.
        superseded: Positions of those that it keeps as past sweeps without looking at them.
        notes: Gets what a person should know.

    Raises:
        BagError: The storage is damaged.
    """
    yield from _OfflineRun(source, node).run(only, superseded, notes)


class _OfflineRun:
    def __init__(self, source: CloudTopic, node: OpenNode) -> None:
        settings = node.values.settings
        past = settings.densification.num_past_frames > 0
        self._source = source
        self._store = typestore_for()
        self._timeline = BagTimeline(source, with_transforms=past)
        self._transforms = RecordedTransforms(open_store(), self._timeline) if past else None
        densifier: Densifier = NoDensifier()
        if self._transforms is not None:
            densifier = SweepDensifier(settings.densification, self._transforms)
        self._densifier = _KeepingDensifier(densifier)
        decode: Callable[[Any], PointCloudFrame] = partial(
            frame_of,
            mapping=field_mapping(settings.field_mapping),
            check_is_dense=settings.check_is_dense,
        )
        self._processed: ProcessedFrame | None = None
        self._elapsed_ms = 0.0
        self._dropped: tuple[DropReason, AwmlDeployError] | None = None
        self._preparation = CloudPreparation(
            decode, self._densifier, settings.densification.num_past_frames
        )
        self._worker = InferenceWorker(
            lambda: node.pipeline,
            self._preparation,
            FrameCounters(),
            self._on_frame,
            self._on_drop,
            FatalErrors(),
        )

    def run(
        self, only: Collection[int] | None, superseded: Collection[int], notes: list[str]
    ) -> Iterator[ReplayedCloud]:
        while (cloud := self._timeline.next_cloud(self._transforms)) is not None:
            if only is None or cloud.index in only:
                yield self._process(cloud)
            elif cloud.index in superseded:
                self._pass_over(cloud)
        for count, text in _counted(self._timeline.left_out):
            notes.append(f"{count} transforms were left out: {text}")

    def _pass_over(self, cloud: RecordedCloud) -> None:
        # One that cannot be read could not have reached the node.
        with suppress(BagError):
            message = decode_cloud(self._store, self._source, cloud)
            self._preparation.passed_over(ReceivedInput(message, time.monotonic_ns()))

    def _process(self, cloud: RecordedCloud) -> ReplayedCloud:
        self._processed = self._dropped = self._densifier.last = None
        arrival_ns = time.monotonic_ns()
        try:
            stamp = stamp_ns(cloud.data)
            message = decode_cloud(self._store, self._source, cloud)
        except (BagError, PointCloudError) as error:
            fate = CloudFate(cloud.index, 0, cloud.received_ns, DropReason.MALFORMED.value, str(error))
            return ReplayedCloud(fate, len(cloud.data), None, None)
        self._worker.process(ReceivedInput(message, arrival_ns, queued_ns=arrival_ns))
        frame, fate, detail = self._outcome(stamp)
        return ReplayedCloud(
            CloudFate(cloud.index, stamp, cloud.received_ns, fate, detail, frame),
            len(cloud.data),
            message.header,
            self._densifier.last.frame if self._densifier.last is not None else None,
        )

    def _outcome(self, stamp: int) -> tuple[RecordedFrame | None, str, str]:
        if self._dropped is not None:
            reason, error = self._dropped
            return None, reason.value, str(error)
        done = self._processed
        assert done is not None
        missing = "" if done.no_past_sweeps is None else done.no_past_sweeps.value
        sweeps = done.sample.sweeps[1:]
        past_ns = tuple(stamp - round(sweep.time_lag * 1e9) for sweep in sweeps)
        frame = RecordedFrame(
            stamp, done.output, done.stages, self._elapsed_ms, len(sweeps), missing, past_ns
        )
        return frame, PROCESSED, done.degraded

    def _on_frame(self, frame: ProcessedFrame) -> None:
        self._processed, self._elapsed_ms = frame, frame.elapsed_ms()

    def _on_drop(self, reason: DropReason, error: AwmlDeployError) -> None:
        self._dropped = reason, error


@dataclass(eq=False)
class _KeepingDensifier:
    """Another densifier that keeps what it gave last, for those who want to look at it again."""

    inner: Densifier
    last: DensifiedFrame | None = field(default=None, init=False)

    def densify(self, frame: PointCloudFrame, clock: StageClock) -> DensifiedFrame:
        self.last = self.inner.densify(frame, clock)
        return self.last

    def remember(self, frame: PointCloudFrame) -> None:
        self.inner.remember(frame)

    def cancel(self) -> None:
        self.inner.cancel()


def _counted(texts: list[str]) -> Iterator[tuple[int, str]]:
    for text in dict.fromkeys(texts):
        yield texts.count(text), text
