"""A bag played into the real node over DDS, as a replayed bag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from awml_deploy_core.errors import PointCloudError
from awml_deploy_ros.bag_clouds import CloudTopic, stamp_ns
from awml_deploy_ros.live import (
    LiveOutcome,
    LiveSettings,
    RecordedFrame,
    Recording,
    play_live,
    read_recording,
)
from awml_deploy_ros.live.run import LiveProgress
from awml_deploy_ros.replay.frames import PROCESSED, UNEXPLAINED, CloudFate, ReplayedBag


def replay_live(
    source: CloudTopic,
    folder: Path,
    settings: LiveSettings,
    class_names: tuple[str, ...],
    progress: Callable[[LiveProgress], None] = lambda _: None,
) -> ReplayedBag:
    """Play a bag once and tell what became of every cloud.

    Args:
        source: The clouds.
        folder: Gets logs and the recorded bag; it must not hold one yet.
        settings: What is run and how it is fed; one loop.
        class_names: Of the model.
        progress: Told several times a second.

    Raises:
        AwmlDeployError: As :func:`~awml_deploy_ros.live.play_live`.
    """
    outcome = play_live(source, folder, settings, progress)
    recording = read_recording(outcome.output_bag, settings.node_name)
    before, counters = outcome.counted_before, recording.counters
    dropped = {
        reason: count - before.dropped.get(reason, 0)
        for reason, count in counters.dropped.items()
        if count > before.dropped.get(reason, 0)
    }
    clouds = _fates(source, recording.frames, dropped, class_names)[: outcome.sent]
    return ReplayedBag(
        source,
        "live",
        clouds,
        counters.received - before.received,
        dropped,
        counters.accounted - before.accounted,
        outcome.seconds,
        outcome.sent_bytes,
        class_names,
        outcome.output_bag,
        outcome.late,
        settings.rate_hz,
        outcome.node_exit_code,
        outcome.node_memory_mb,
        outcome.logs,
        notes=tuple(_repeated(recording)),
        transit_ms=_transit(clouds, outcome),
        cyclic_ms=tuple(
            (later.recorded_ns - earlier.recorded_ns) * 1e-6
            for earlier, later in pairwise(recording.frames)
        ),
    )


def _fates(
    source: CloudTopic,
    frames: Sequence[RecordedFrame],
    dropped: dict[str, int],
    class_names: tuple[str, ...],
) -> tuple[CloudFate, ...]:
    """Every cloud of the bag, with its frame by the stamp.

    The node counts drops and does not say of which clouds; where there is but one reason, it is the
    reason of each.
    """
    by_stamp: dict[int, list[RecordedFrame]] = {}
    for frame in frames:
        by_stamp.setdefault(frame.stamp_ns, []).append(frame)
    reasons = [reason for reason, count in dropped.items() if count]
    missing = reasons[0] if len(reasons) == 1 else " or ".join(reasons) or UNEXPLAINED
    clouds = []
    for index, message in enumerate(source.recorded()):
        stamp = _stamp(message.data)
        found = by_stamp.get(stamp)
        frame = found.pop(0) if found else None
        if frame is not None:
            boxes = frame.detections
            known = class_names[: len(boxes.class_names)]
            # A recording names only the classes that were detected.
            named = (
                replace(boxes, class_names=class_names) if len(known) == len(boxes.class_names) else boxes
            )
            frame = replace(frame, detections=named)
        fate = PROCESSED if frame is not None else missing
        clouds.append(CloudFate(index, stamp, message.received_ns, fate, "", frame))
    return tuple(clouds)


def _stamp(data: bytes) -> int:
    """Stamp of a serialised cloud [ns]; 0 of one that is too short to have any."""
    try:
        return stamp_ns(data)
    except PointCloudError:
        return 0


def _transit(clouds: Sequence[CloudFate], outcome: LiveOutcome) -> tuple[float, ...]:
    return tuple(
        (cloud.frame.recorded_ns - sent_ns) * 1e-6 - cloud.frame.end_to_end_ms
        for cloud, sent_ns in zip(clouds, outcome.sent_at_ns, strict=False)
        if cloud.frame is not None
    )


def _repeated(recording: Recording) -> list[str]:
    counts = Counter(frame.stamp_ns for frame in recording.frames)
    repeated = sum(count > 1 for count in counts.values())
    return [f"{repeated} stamps occur more than once in the recording"] if repeated else []
