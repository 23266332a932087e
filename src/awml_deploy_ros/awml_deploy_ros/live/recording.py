"""Reads what the bag recorder wrote about a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import StageLatencies, StageLatency
from awml_deploy_ros.bag_clouds import bag_errors
from awml_deploy_ros.bag_types import require_rosbags, typestore_for
from awml_deploy_ros.live.status import LiveCounters
from awml_deploy_ros.outputs.geometry import yaw_of
from awml_deploy_ros.topics import DIAGNOSTICS, FRAME

_CLOCKS = ("cpu", "cuda")
"""By the constants of awml_deploy_msgs/StageLatency."""


@dataclass(frozen=True, eq=False)
class RecordedFrame:
    """One awml_deploy_msgs/DetectionFrame of a recording."""

    stamp_ns: int
    detections: Detections
    stages: StageLatencies
    end_to_end_ms: float
    num_past_sweeps: int
    no_past_sweeps_reason: str
    """Why there is none; empty if there is."""
    past_stamps_ns: tuple[int, ...] = ()
    """Of the past sweeps, the latest first."""
    recorded_ns: int = 0
    """When its record reached the recorder, by the system's clock [ns]; 0 without a recorder."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Frames of a node in the order they were published, and the last counters it told."""

    frames: tuple[RecordedFrame, ...]
    counters: LiveCounters


def read_recording(bag: Path, node_name: str) -> Recording:
    """Read the record and the diagnostics of a node from a recorded bag.

    Args:
        bag: What :class:`~awml_deploy_ros.bag_recorder.BagRecorder` wrote.
        node_name: Full name of the node.

    Raises:
        BagError: The bag is missing or damaged.
        MissingDependencyError: rosbags or a message package is not installed.
    """
    require_rosbags()
    from rosbags.rosbag2 import Reader

    store = typestore_for("awml_deploy_msgs", "diagnostic_msgs")
    topic = FRAME.of(node_name)
    with bag_errors(bag), Reader(bag) as reader:
        messages = [
            (connection.topic, store.deserialize_cdr(data, connection.msgtype), int(time_ns))
            for connection, time_ns, data in reader.messages()
            if connection.topic in (topic, DIAGNOSTICS.name)
        ]
    counters = LiveCounters()
    for name, message, _ in messages:
        of_frame = name == topic
        found = (
            LiveCounters.of_frame(message) if of_frame else LiveCounters.of_diagnostics(message, node_name)
        )
        if found is not None and found.accounted >= counters.accounted:
            counters = found
    frames = [(message, time_ns) for name, message, time_ns in messages if name == topic]
    class_names = _class_names([message for message, _ in frames])
    return Recording(tuple(_frame(message, class_names, time_ns) for message, time_ns in frames), counters)


def _class_names(messages: Sequence[Any]) -> tuple[str, ...]:
    """Class names by label, of the classes that were detected."""
    names = {int(box.label): str(box.class_name) for message in messages for box in message.boxes}
    return tuple(names.get(label, f"label {label}") for label in range(max(names, default=-1) + 1))


def _frame(message: Any, class_names: tuple[str, ...], recorded_ns: int) -> RecordedFrame:
    stamp = message.header.stamp
    stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
    return RecordedFrame(
        stamp_ns,
        to_detections(message.boxes, class_names),
        StageLatencies(
            tuple(
                StageLatency(stage.name, float(stage.milliseconds), _CLOCKS[int(stage.clock)])  # type: ignore[arg-type]
                for stage in message.stages
            )
        ),
        float(message.end_to_end_latency_ms),
        int(message.num_past_sweeps),
        str(message.no_past_sweeps_reason),
        tuple(stamp_ns - round(float(age) * 1e9) for age in message.past_sweep_ages),
        recorded_ns,
    )


def to_detections(boxes: Sequence[Any], class_names: tuple[str, ...]) -> Detections:
    """Detections of awml_deploy_msgs/DetectedBox; inverse of the record output's boxes."""

    def column(rows: list[Any], width: int, dtype: Any = np.float32) -> Any:
        return np.array(rows, dtype).reshape((len(boxes), width) if width else len(boxes))

    poses = [box.pose for box in boxes]
    return Detections(
        column([(p.position.x, p.position.y, p.position.z) for p in poses], 3),
        column([(box.size.x, box.size.y, box.size.z) for box in boxes], 3),
        column([yaw_of(p.orientation) for p in poses], 0),
        column([(box.velocity.x, box.velocity.y) for box in boxes], 2),
        column([box.score for box in boxes], 0),
        column([box.label for box in boxes], 0, np.int32),
        class_names,
        all(box.has_velocity for box in boxes),
    )
