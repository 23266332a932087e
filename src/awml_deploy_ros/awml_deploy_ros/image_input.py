"""From an image message to what a detector is given."""

from __future__ import annotations

from typing import Any

from awml_deploy_core.image_message import pixels_of
from awml_deploy_core.images import Image
from awml_deploy_core.pipeline import StageClock
from awml_deploy_ros.input_queue import ReceivedInput
from awml_deploy_ros.worker import Prepared


def image_of(message: Any) -> Image:
    """A sensor_msgs/Image, without copying its pixels where they have three channels.

    Raises:
        ImageError: The message is malformed, or of an encoding that cannot be read.
    """
    header = message.header
    return Image(pixels_of(message), header.frame_id, stamp_ns(header))


def stamp_ns(header: Any) -> int:
    """Stamp of a std_msgs/Header [ns]."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


class ImagePreparation:
    """Implements :class:`~awml_deploy_ros.worker.Preparation` for images."""

    def prepare(self, received: ReceivedInput, clock: StageClock) -> Prepared[Image]:
        with clock.stage("decode_image"):
            return Prepared(image_of(received.message))

    def published(self, prepared: Prepared[Image]) -> None:
        pass

    def passed_over(self, received: ReceivedInput) -> None:
        pass

    def cancel(self) -> None:
        pass
