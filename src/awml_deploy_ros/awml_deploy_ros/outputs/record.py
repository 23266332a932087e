"""The typed record of a frame: awml_deploy_msgs/DetectionFrame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from awml_deploy_msgs.msg import (
    DetectedBox,
    DetectionFrame,
    DropCount,
    FrameCounters,
    ModelIdentity,
    PointStatistics,
    StageLatency,
)
from geometry_msgs.msg import Vector3
from rclpy.impl.implementation_singleton import rclpy_implementation

from awml_deploy_core.detections import Detections
from awml_deploy_ros import model
from awml_deploy_ros.counters import CounterSnapshot
from awml_deploy_ros.frame import FrameTiming, HeaderAge, ProcessedFrame
from awml_deploy_ros.outputs.base import (
    OutputContext,
    create_publisher,
    destroy_delivered,
    every_frame,
)
from awml_deploy_ros.outputs.geometry import boxes_of, pose_of, size_of
from awml_deploy_ros.topics import FRAME, TopicSpec

_CLOCKS = {"cpu": StageLatency.CLOCK_CPU, "cuda": StageLatency.CLOCK_CUDA}
_NOT_REPORTED = -1


def to_boxes(detections: Detections) -> list[Any]:
    """awml_deploy_msgs/DetectedBox of every box."""
    return [
        DetectedBox(
            pose=pose_of(box),
            size=size_of(box),
            velocity=Vector3(x=box.velocity[0], y=box.velocity[1], z=0.0),
            has_velocity=detections.has_velocity,
            class_name=box.class_name,
            label=box.label,
            score=box.score,
        )
        for box in boxes_of(detections)
    ]


def to_record(
    frame: ProcessedFrame, identity: model.ModelIdentity, counters: CounterSnapshot, age: HeaderAge
) -> Any:
    """awml_deploy_msgs/DetectionFrame of a frame, its latency taken now."""
    return DetectionFrame(
        boxes=to_boxes(frame.output),
        num_past_sweeps=frame.num_past_sweeps,
        past_sweep_ages=[] if frame.sample is None else [s.time_lag for s in frame.sample.sweeps[1:]],
        no_past_sweeps_reason="" if frame.no_past_sweeps is None else frame.no_past_sweeps.value,
        points=_points(frame.counts),
        **common_fields(frame, identity, counters, age),
    )


def common_fields(
    frame: ProcessedFrame, identity: model.ModelIdentity, counters: CounterSnapshot, age: HeaderAge
) -> dict[str, Any]:
    """Header, latencies, counters and identity by field: what every record has, whatever it records."""
    timing = frame.timing or FrameTiming()
    return {
        "header": frame.header,
        "stages": [
            StageLatency(
                name=stage.name, clock=_CLOCKS[stage.clock], milliseconds=float(stage.milliseconds)
            )
            for stage in frame.stages.stages
        ],
        "header_age_ms": age.milliseconds,
        "header_age_valid": age.valid,
        "header_age_problem": age.problem,
        "transport_ms": frame.transport.milliseconds,
        "transport_valid": frame.transport.valid,
        "cyclic_time_ms": timing.cyclic_ms or 0.0,
        "jitter_ms": timing.jitter_ms or 0.0,
        "over_budget": timing.over_budget,
        "counters": FrameCounters(
            received=counters.received,
            processed=counters.processed,
            dropped=[
                DropCount(reason=reason.value, count=count) for reason, count in counters.dropped.items()
            ],
        ),
        "model": ModelIdentity(
            model_name=identity.model_name,
            bundle_hash=identity.bundle_hash,
            backend=identity.backend,
            device=identity.device,
        ),
        "end_to_end_latency_ms": frame.elapsed_ms(),
    }


def _points(counts: Mapping[str, int]) -> Any:
    names = PointStatistics.get_fields_and_field_types()
    return PointStatistics(**{name: int(counts.get(name, _NOT_REPORTED)) for name in names})


class RecordOutput:
    """Publishes records on ``~/output/frame``.

    Args:
        context: What it needs.
        topic: The topic and the type of its messages.
        kind: Their class.
        convert: Makes one.
    """

    def __init__(
        self,
        context: OutputContext,
        topic: TopicSpec,
        kind: Any,
        convert: Callable[[ProcessedFrame, model.ModelIdentity, CounterSnapshot, HeaderAge], Any],
    ) -> None:
        self._context = context
        self._topic = topic
        self._convert = convert
        self._publisher = create_publisher(context.node, kind, topic.name, every_frame())

    def publish(self, frame: ProcessedFrame) -> None:
        context = self._context
        counters, age = context.counters.snapshot(), context.age_of(frame)
        record = self._convert(frame, context.identity, counters, age)
        self._publisher.publish(record)
        context.hold(self._publisher.topic_name, self._topic.type, record)

    @property
    def listeners(self) -> int:
        """Subscribers that the middleware has matched; 0 once the publisher is gone."""
        try:
            return self._publisher.get_subscription_count()
        # Only newer versions export it elsewhere.
        except rclpy_implementation.InvalidHandle:
            return 0

    def close(self) -> None:
        destroy_delivered(self._context.node, self._publisher)


def create(context: OutputContext) -> RecordOutput:
    return RecordOutput(context, FRAME, DetectionFrame, to_record)
