"""What became of every cloud of a bag, in either mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.live.recording import RecordedFrame

Mode = Literal["offline", "live"]

PROCESSED = "processed"
UNEXPLAINED = "unexplained"
"""Fate of a cloud of which nobody says why it gave no frame."""


@dataclass(frozen=True, eq=False)
class CloudFate:
    """One cloud: its frame, or why it gave none."""

    index: int
    """Position among the clouds of the topic."""
    stamp_ns: int
    received_ns: int
    """When the recorder of the input received it [ns]."""
    fate: str
    """:data:`PROCESSED`, a reason such as ``malformed``, or :data:`UNEXPLAINED`."""
    detail: str = ""
    frame: RecordedFrame | None = None
    """None if it was not processed."""

    @property
    def sample_id(self) -> str:
        """The name that the evaluation gives a cloud of a bag."""
        return f"{self.index:06d}_{self.stamp_ns}"


@dataclass(frozen=True, eq=False)
class ReplayedBag:
    """A bag that was replayed once, before anybody judges it."""

    source: CloudTopic
    mode: Mode
    clouds: tuple[CloudFate, ...]
    """Every cloud that was read or sent."""
    received: int
    """Clouds that reached the node."""
    dropped: Mapping[str, int]
    """Clouds not processed, by reason."""
    accounted: int
    """Clouds whose fate the node told."""
    seconds: float
    bytes: int
    """Of the clouds, serialised."""
    class_names: tuple[str, ...]
    """Of the model."""
    output_bag: Path | None = None
    late: int = 0
    """Clouds sent more than one period after their time."""
    rate_hz: float = 0.0
    node_exit_code: int | None = None
    """None if no process of ours ran the node."""
    node_memory_mb: tuple[float, ...] = ()
    logs: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know, e.g. transforms that were left out."""
    transit_ms: tuple[float, ...] = field(default=())
    """By frame, live only: from its publication by the player to its record at the recorder, without
    the time in the node [ms]."""
    cyclic_ms: tuple[float, ...] = field(default=())
    """Live only: times between records [ms]."""

    @cached_property
    def processed(self) -> tuple[CloudFate, ...]:
        """The clouds that gave a frame."""
        return tuple(cloud for cloud in self.clouds if cloud.frame is not None)

    @cached_property
    def frames(self) -> tuple[RecordedFrame, ...]:
        """The frames in order."""
        return tuple(cloud.frame for cloud in self.clouds if cloud.frame is not None)

    def without_past_sweeps(self) -> dict[str, int]:
        """Frames of the current sweep alone, by reason."""
        alone = (frame.no_past_sweeps_reason for frame in self.frames if not frame.num_past_sweeps)
        return dict(Counter(alone))

    def detections_by_class(self) -> dict[str, int]:
        """Boxes of all frames."""
        counts: Counter[str] = Counter(dict.fromkeys(self.class_names, 0))
        for frame in self.frames:
            counts.update(frame.detections.count_by_class())
        return dict(counts)
