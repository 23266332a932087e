"""From a cloud with an image to what a calibration-status classifier is given."""

from __future__ import annotations

from awml_deploy_core.errors import ImageError
from awml_deploy_core.image_message import calibration_of, check_size
from awml_deploy_core.images import LidarCameraFrame
from awml_deploy_core.pipeline import StageClock
from awml_deploy_core.pointcloud2 import FieldMapping
from awml_deploy_ros.cloud_input import frame_of
from awml_deploy_ros.image_input import image_of
from awml_deploy_ros.image_parameters import CalibrationSettings
from awml_deploy_ros.input_queue import ReceivedInput
from awml_deploy_ros.pairing import SensorPair
from awml_deploy_ros.tf import TransformBuffer
from awml_deploy_ros.worker import Prepared


class PairPreparation:
    """Implements :class:`~awml_deploy_ros.worker.Preparation` for :class:`SensorPair`.

    The LiDAR's place in the frame of the camera is asked for at the stamp of the cloud.

    Args:
        settings: How clouds and images are read.
        mapping: Which field of the cloud holds which column.
        transforms: Where the LiDAR's place comes from.
    """

    def __init__(
        self, settings: CalibrationSettings, mapping: FieldMapping, transforms: TransformBuffer
    ) -> None:
        self._settings = settings
        self._mapping = mapping
        self._transforms = transforms

    def prepare(self, received: ReceivedInput, clock: StageClock) -> Prepared[LidarCameraFrame]:
        pair: SensorPair = received.message
        clock.add("pair_wait", (received.queued_ns - received.arrival_ns) * 1e-6)
        with clock.stage("decode_cloud"):
            cloud = frame_of(
                pair.cloud.message, self._mapping, check_is_dense=self._settings.check_is_dense
            )
        with clock.stage("decode_image"):
            image = image_of(pair.image)
            check_size(pair.info, pair.image)
            camera = _camera_frame(pair)
        with clock.stage("tf_wait"):
            timeout_s = self._settings.tf_timeout_ms * 1e-3
            place = self._transforms.lookup(camera, cloud.frame_id.lstrip("/"), cloud.stamp_ns, timeout_s)
        calibration = calibration_of(pair.info, place, rectified=self._settings.image_is_rectified)
        return Prepared(LidarCameraFrame(image, cloud.sweeps[0].columns, calibration))

    def published(self, prepared: Prepared[LidarCameraFrame]) -> None:
        pass

    def passed_over(self, received: ReceivedInput) -> None:
        pass

    def cancel(self) -> None:
        self._transforms.close()


def _camera_frame(pair: SensorPair) -> str:
    frame_id = str(pair.image.header.frame_id)
    if not frame_id or frame_id != pair.info.header.frame_id:
        raise ImageError(
            "image.header.frame_id",
            "is not that of the camera_info" if frame_id else "is empty",
            got=repr(frame_id),
            expected=f"the optical frame of the camera (camera_info: {pair.info.header.frame_id!r})",
            hint="Name the frame in the driver of the camera.",
        )
    return frame_id.lstrip("/")
