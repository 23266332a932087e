"""Clouds and the images that were taken at their time. This module knows no ROS."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from awml_deploy_core.errors import ImageError
from awml_deploy_ros.counters import DropReason
from awml_deploy_ros.frame import NO_TRANSPORT, Transport

_KEPT = 16
"""Images and camera infos that are remembered."""
_JUMP_NS = 1_000_000_000
"""A cloud this much older than the one before it means that time jumped back [ns]."""


class UnpairedError(ImageError):
    """No image was taken at the time of a cloud."""

    drop_reason = DropReason.UNPAIRED


@dataclass(frozen=True, eq=False)
class WaitingCloud:
    """A cloud before it has an image."""

    stamp_ns: int
    message: Any
    arrival_ns: int
    """Monotonic clock [ns]."""
    transport: Transport = NO_TRANSPORT


@dataclass(frozen=True, eq=False)
class SensorPair:
    """A cloud and, unless there is none, the image nearest in time with its camera info."""

    cloud: WaitingCloud
    image: Any = None
    info: Any = None
    stamp_difference_ns: int = 0
    """Stamp of the image minus that of the cloud."""
    problem: UnpairedError | None = None
    """Why there is no image."""

    @property
    def header(self) -> Any:
        """std_msgs/Header of the cloud."""
        return self.cloud.message.header


class Pairer:
    """Gives every cloud the image nearest in time; used by one thread.

    An image counts once its CameraInfo, which has the same stamp, is there. A cloud waits for an image at
    or after its own stamp, before which a nearer one may yet come. So which image it gets depends on
    stamps alone, as long as neither sensor's messages overtake each other.

    Args:
        max_difference_ns: Between the stamps of cloud and image.
        max_waiting: The oldest of more clouds than this is decided with the images there are.
    """

    def __init__(self, max_difference_ns: int, max_waiting: int) -> None:
        self._max_difference_ns = max_difference_ns
        self._max_waiting = max_waiting
        self._clouds: deque[WaitingCloud] = deque()
        self._images: dict[int, Any] = {}
        self._infos: dict[int, Any] = {}
        self._last_stamp_ns: int | None = None

    @property
    def waiting(self) -> int:
        """Clouds that are not decided."""
        return len(self._clouds)

    def add_image(self, stamp_ns: int, message: Any) -> list[SensorPair]:
        """Add an image; return the clouds that are decided now."""
        _keep(self._images, stamp_ns, message)
        return self._decided()

    def add_info(self, stamp_ns: int, message: Any) -> list[SensorPair]:
        """Add the camera info of an image; return the clouds that are decided now."""
        _keep(self._infos, stamp_ns, message)
        return self._decided()

    def add_cloud(self, cloud: WaitingCloud) -> list[SensorPair]:
        """Add a cloud; return those that are decided now."""
        decided: list[SensorPair] = []
        last_ns, self._last_stamp_ns = self._last_stamp_ns, cloud.stamp_ns
        if last_ns is not None and cloud.stamp_ns < last_ns - _JUMP_NS:
            # Nothing from before the jump is near, however its stamps look.
            decided = [_unpaired(left, "time jumped back") for left in self._clouds]
            self._clouds.clear()
            for kept in (self._images, self._infos):
                for stamp_ns in [stamp for stamp in kept if stamp > cloud.stamp_ns + _JUMP_NS]:
                    del kept[stamp_ns]
        self._clouds.append(cloud)
        return [*decided, *self._decided()]

    def _decided(self) -> list[SensorPair]:
        complete = sorted(self._images.keys() & self._infos.keys())
        decided = []
        while self._clouds:
            reached = complete and complete[-1] >= self._clouds[0].stamp_ns
            if not reached and len(self._clouds) <= self._max_waiting:
                break
            decided.append(self._decide(self._clouds.popleft(), complete))
        return decided

    def _decide(self, cloud: WaitingCloud, complete: list[int]) -> SensorPair:
        if not complete:
            return _unpaired(cloud, self._why_none())
        # Of two equally near ones the earlier.
        nearest = min(complete, key=lambda stamp_ns: (abs(stamp_ns - cloud.stamp_ns), stamp_ns))
        difference_ns = nearest - cloud.stamp_ns
        if abs(difference_ns) > self._max_difference_ns:
            return _unpaired(
                cloud,
                "no image was taken at its time",
                got=f"the nearest {difference_ns * 1e-6:+.1f} ms from it",
                expected=f"within {self._max_difference_ns * 1e-6:g} ms "
                "(parameter pairing.max_stamp_difference_ms)",
            )
        return SensorPair(cloud, self._images[nearest], self._infos[nearest], difference_ns)

    def _why_none(self) -> str:
        if not self._images:
            return "no image came"
        if not self._infos:
            return "images came, but no camera_info"
        return "no camera_info has the stamp of an image"


def _keep(kept: dict[int, Any], stamp_ns: int, message: Any) -> None:
    kept.pop(stamp_ns, None)
    kept[stamp_ns] = message
    if len(kept) > _KEPT:
        del kept[next(iter(kept))]


def _unpaired(
    cloud: WaitingCloud, problem: str, *, got: str | None = None, expected: str | None = None
) -> SensorPair:
    error = UnpairedError(f"cloud of {cloud.stamp_ns * 1e-9:.3f} s", problem, got=got, expected=expected)
    return SensorPair(cloud, problem=error)
