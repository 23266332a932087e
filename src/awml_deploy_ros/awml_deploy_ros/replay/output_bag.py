"""The detections of an offline replay as a rosbag2, each beside the stamp of its cloud."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from awml_deploy_msgs.msg import DetectionFrame
from awml_deploy_msgs.msg import ModelIdentity as IdentityMessage
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from awml_deploy_ros.bag_recorder import BagFile
from awml_deploy_ros.bag_types import typestore_for
from awml_deploy_ros.model import ModelIdentity
from awml_deploy_ros.outputs.markers import to_marker_array
from awml_deploy_ros.outputs.record import to_boxes
from awml_deploy_ros.replay.frames import CloudFate
from awml_deploy_ros.topics import FRAME, MARKERS

OUTPUT_BAG = "output_bag"
_MARKER_LIFETIME_MS = 500.0


class OutputBag:
    """Writes the record and the markers of frames at the time at which their cloud was recorded.

    It holds no latencies, which are in the result: the same bag on the same model gives the same bytes.

    Args:
        path: The bag, which appears when it is finished.
        node_name: Full name of the node whose topics they are.
        identity: What made the detections.
    """

    def __init__(self, path: Path, node_name: str, identity: ModelIdentity) -> None:
        self._topics = {FRAME.of(node_name): FRAME.type, MARKERS.of(node_name): MARKERS.type}
        self._identity = IdentityMessage(
            model_name=identity.model_name,
            bundle_hash=identity.bundle_hash,
            backend=identity.backend,
            device=identity.device,
        )
        self._store = typestore_for("awml_deploy_msgs", "visualization_msgs")
        self._bag = BagFile(path, self._topics)

    def write(self, cloud: CloudFate, header: Any) -> None:
        """Append a processed cloud.

        Args:
            cloud: With its frame.
            header: std_msgs/Header of the cloud, in any typed form.
        """
        frame = cloud.frame
        assert frame is not None
        stamp = Time(sec=int(header.stamp.sec), nanosec=int(header.stamp.nanosec))
        own = Header(stamp=stamp, frame_id=str(header.frame_id))
        messages = (
            DetectionFrame(
                header=own,
                boxes=to_boxes(frame.detections),
                num_past_sweeps=frame.num_past_sweeps,
                past_sweep_ages=[(frame.stamp_ns - past) * 1e-9 for past in frame.past_stamps_ns],
                no_past_sweeps_reason=frame.no_past_sweeps_reason,
                model=self._identity,
            ),
            to_marker_array(own, frame.detections, _MARKER_LIFETIME_MS),
        )
        for (topic, kind), message in zip(self._topics.items(), messages, strict=True):
            self._bag.write(topic, cloud.received_ns, self._serialised(message, kind))

    def _serialised(self, message: Any, kind: str) -> bytes:
        # What the middleware leaves between the fields is whatever was in memory there.
        content = self._store.deserialize_cdr(serialize_message(message), kind)
        return bytes(self._store.serialize_cdr(content, kind))

    def finish(self) -> Path:
        """Put the bag in its place."""
        return self._bag.finish()

    def discard(self) -> None:
        """Remove what was written."""
        self._bag.discard()


@contextmanager
def output_bag(path: Path, node_name: str, identity: ModelIdentity) -> Iterator[OutputBag]:
    """An output bag that is there only if the enclosed block ends without an error.

    Raises:
        BagError: The path is taken.
    """
    bag = OutputBag(path, node_name, identity)
    try:
        yield bag
    except BaseException:
        bag.discard()
        raise
    bag.finish()
