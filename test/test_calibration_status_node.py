"""The node of a camera and a LiDAR says in diagnostics what the command line says."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from image_models import ExportedModel, export_classifier
from node_peer import NodePeer, wait_until
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from tf2_msgs.msg import TFMessage

from awml_deploy_core.family import Sample, load_family
from awml_deploy_ros.calibration_status_node import CalibrationStatusNode
from awml_deploy_ros.counters import CLOUDS_WITH_IMAGES
from awml_deploy_ros.diagnostic_keys import CALIBRATION_KEYS, processing_keys

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
CAMERA, LIDAR = "camera_optical", "lidar"
MS = 1_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    return export_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def samples(model: ExportedModel) -> Sequence[Sample]:
    return load_family("calibration_status").open_samples(str(model.samples))


@pytest.fixture(scope="module", autouse=True)
def _ros() -> Iterator[None]:
    rclpy.init(args=[])
    yield
    rclpy.try_shutdown()


def stamped(message: Any, frame_id: str, stamp_ns: int) -> Any:
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


def image_of(sample: Sample, stamp_ns: int) -> Image:
    pixels = np.ascontiguousarray(sample.input.image.pixels)
    height, width = pixels.shape[:2]
    message = Image(height=height, width=width, encoding="bgr8", step=3 * width)
    message.data = array("B", pixels.tobytes())
    return stamped(message, CAMERA, stamp_ns)


def info_of(sample: Sample, stamp_ns: int) -> CameraInfo:
    image, calibration = sample.input.image, sample.input.calibration
    message = CameraInfo(height=image.height, width=image.width, distortion_model="plumb_bob")
    message.k = calibration.camera_matrix.ravel().tolist()
    message.d = calibration.distortion.tolist()
    return stamped(message, CAMERA, stamp_ns)


def cloud_of(sample: Sample, stamp_ns: int) -> PointCloud2:
    columns = sample.input.cloud
    names = ("x", "y", "z", "intensity")
    points = np.stack([np.asarray(getattr(columns, name), np.float32) for name in names], axis=1)
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(names)
    ]
    message = PointCloud2(height=1, width=len(points), fields=fields, point_step=16)
    message.row_step, message.data = points.nbytes, array("B", points.tobytes())
    return stamped(message, LIDAR, stamp_ns)


def transform_of(sample: Sample) -> TFMessage:
    """Where the LiDAR is in the camera's frame: its rotation is a third of a turn, 0.5 in every part."""
    matrix = sample.input.calibration.lidar_to_camera
    w = np.sqrt(1 + np.trace(matrix[:3, :3])) / 2
    x, y, z = (matrix[[2, 0, 1], [1, 2, 0]] - matrix[[1, 2, 0], [2, 0, 1]]) / (4 * w)
    message = stamped(TransformStamped(child_frame_id=LIDAR), CAMERA, 0)
    move, turn = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z = matrix[:3, 3].tolist()
    turn.x, turn.y, turn.z, turn.w = float(x), float(y), float(z), float(w)
    return TFMessage(transforms=[message])


def publish_pair(peer: NodePeer, sample: Sample, second: int, **changes: Any) -> None:
    """A cloud, then an image 12 ms after it."""
    image_ns = second * 1000 * MS + 12 * MS
    image = image_of(sample, image_ns)
    for name, value in changes.items():
        setattr(image, name, value)
    peer.publish("input/pointcloud", cloud_of(sample, second * 1000 * MS))
    peer.publish("input/camera_info", info_of(sample, image_ns))
    peer.publish("input/image", image)


def active(peer: NodePeer) -> None:
    assert peer.node.trigger_configure() == SUCCESS
    assert peer.node.trigger_activate() == SUCCESS


def count(peer: NodePeer, name: str) -> int:
    return int(peer.status("processing").get(name, "-1"))


def test_the_node_says_what_the_command_line_says(model: ExportedModel, samples: Sequence[Sample]) -> None:
    with NodePeer(CalibrationStatusNode, model_path=str(model.bundle)) as peer:
        active(peer)
        peer.publish("/tf_static", transform_of(samples[0]))
        wait_until(lambda: peer.status("calibration").get("message") == "no frame was judged yet")
        for turn, sample in enumerate(samples):
            publish_pair(peer, sample, 10 + turn)
            wait_until(lambda turn=turn: peer.status("calibration").get("judged") == str(turn + 1))
            found = peer.status("calibration")
            (expected,) = model.frames[turn]["detections"]
            assert found["class"] == expected["class"]
            for name, probability in expected["probabilities"].items():
                assert float(found[f"probability.{name}"]) == pytest.approx(probability, abs=2e-6)
            assert found["points_projected"] == str(model.frames[turn]["counts"]["points_projected"])
            assert (found["camera"], found["lidar"]) == (CAMERA, LIDAR)
            assert float(found["stamp_difference_ms"]) == pytest.approx(12.0)
            assert float(found["stamp_s"]) == 10 + turn
        keys = {key for key in CALIBRATION_KEYS if "<" not in key}
        probabilities = {f"probability.{name}" for name in ("calibrated", "miscalibrated")}
        assert set(found) == {*keys, *probabilities, "level", "message"}
        wait_until(lambda: count(peer, "processed") == 2)
        assert set(peer.status("processing")) - {"level", "message"} == set(
            processing_keys(CLOUDS_WITH_IMAGES)
        )
        latency = peer.status("latency")
        for stage in (
            "pair_wait",
            "decode_cloud",
            "decode_image",
            "tf_wait",
            "rectify",
            "project",
            "model",
        ):
            assert float(latency[f"{stage}.max_ms"]) >= 0.0
        assert peer.node.trigger_deactivate() == SUCCESS
        wait_until(lambda: peer.status("calibration")["message"] == "inactive")
        assert peer.node.trigger_cleanup() == SUCCESS


@pytest.mark.parametrize(("least", "level"), [(0.0, "0"), (1.0, "2")])
def test_a_wrong_calibration_is_an_error(
    model: ExportedModel, samples: Sequence[Sample], least: float, level: str
) -> None:
    limits = {
        "calibration.min_probability": least,
        "calibration.max_consecutive_miscalibrated": 2,
    }
    with NodePeer(CalibrationStatusNode, model_path=str(model.bundle), **limits) as peer:
        active(peer)
        peer.publish("/tf_static", transform_of(samples[0]))
        for turn in range(2):
            publish_pair(peer, samples[0], 10 + turn)
            wait_until(lambda turn=turn: peer.status("calibration").get("judged") == str(turn + 1))
            wanted = "1" if turn == 0 and level == "2" else level
            assert peer.status("calibration")["level"] == wanted
        assert peer.status("calibration")["miscalibrated_in_a_row"] == ("2" if level == "2" else "0")


def test_what_cannot_be_judged_is_counted_with_the_reason(
    model: ExportedModel, samples: Sequence[Sample]
) -> None:
    sample = samples[0]
    parameters = {"pairing.max_waiting_clouds": 1, "tf_timeout_ms": 0.0}
    with NodePeer(CalibrationStatusNode, model_path=str(model.bundle), **parameters) as peer:
        active(peer)

        def expect(reason: str, number: int, words: str) -> None:
            wait_until(lambda: count(peer, f"dropped.{reason}") == number)
            error = peer.status("processing")["last_error"]
            assert error.startswith(f"{reason}: ")
            assert words in error

        publish_pair(peer, sample, 10)
        expect("missing_tf", 1, "camera_optical")
        peer.publish("/tf_static", transform_of(sample))
        publish_pair(peer, sample, 11, encoding="yuv422")
        expect("malformed", 1, "'yuv422'")
        publish_pair(peer, sample, 12, height=0, width=0, data=array("B"))
        expect("malformed", 2, "has no pixels")
        half = {"height": 24, "data": image_of(sample, 0).data[: 24 * 64 * 3]}
        publish_pair(peer, sample, 13, **half)
        expect("malformed", 3, "another size than the image; got 64 x 48 px; expected 64 x 24 px")
        # Nothing is near the first of these, and the second waits for ever.
        peer.publish("input/pointcloud", cloud_of(sample, 20_000 * MS))
        peer.publish("input/pointcloud", cloud_of(sample, 20_100 * MS))
        expect("unpaired", 1, "the nearest -6988.0 ms from it")
        assert peer.node.trigger_deactivate() == SUCCESS
        wait_until(lambda: count(peer, "dropped.deactivated") == 1)
        assert count(peer, "received") == 6
        assert count(peer, "processed") == 0


def test_wrong_parameters_and_models_are_refused(model: ExportedModel) -> None:
    wrong = {"calibration.class_name": "fine"}
    with NodePeer(CalibrationStatusNode, model_path=str(model.bundle), **wrong) as peer:
        assert peer.node.trigger_configure() == FAILURE
        wait_until(lambda: "'fine'; expected miscalibrated" in peer.status("processing").get("message", ""))
    with NodePeer(CalibrationStatusNode, **{"field_mapping.intensity": ""}) as peer:
        assert peer.node.trigger_configure() == FAILURE
        wait_until(lambda: "the model needs the intensity" in peer.status("processing").get("message", ""))
