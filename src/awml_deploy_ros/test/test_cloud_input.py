"""The way from a message to a frame."""

import numpy as np
import pytest
from clouds import cloud_of, truncated_cloud

from awml_deploy_core.errors import ParameterError, PointCloudError
from awml_deploy_ros.cloud_input import field_mapping, frame_of

MAPPING = field_mapping({"x": "x", "y": "y", "z": "z", "intensity": "intensity"})


def test_a_frame_shares_the_memory_of_its_message() -> None:
    points = np.arange(40, dtype=np.float32).reshape(10, 4)
    message = cloud_of(points, "lidar", (3, 7))
    frame = frame_of(message, MAPPING)
    assert (frame.frame_id, frame.stamp_ns, frame.num_points) == ("lidar", 3_000_000_007, 10)
    columns = frame.sweeps[0].columns
    np.testing.assert_array_equal(columns.z, points[:, 2])
    np.testing.assert_array_equal(columns.intensity, points[:, 3])
    assert np.shares_memory(columns.x, np.frombuffer(message.data, np.uint8))


def test_intensity_is_read_only_if_mapped() -> None:
    mapping = field_mapping({"x": "x", "y": "y", "z": "z"})
    assert frame_of(cloud_of(np.ones((2, 4))), mapping).sweeps[0].columns.intensity is None


def test_a_malformed_cloud_is_a_typed_error() -> None:
    with pytest.raises(PointCloudError, match="wrong length"):
        frame_of(truncated_cloud(), MAPPING)


def test_a_dense_cloud_with_nan_is_malformed_unless_that_is_allowed() -> None:
    points = np.ones((4, 4), np.float32)
    points[2, 1] = np.nan
    message = cloud_of(points)
    with pytest.raises(PointCloudError, match=r"is_dense: is true.*1 of 4 points"):
        frame_of(message, MAPPING)
    assert frame_of(message, MAPPING, check_is_dense=False).num_points == 4
    message.is_dense = False
    assert frame_of(message, MAPPING).num_points == 4


def test_a_cloud_that_names_no_frame_is_a_typed_error() -> None:
    with pytest.raises(PointCloudError, match=r"header.frame_id: is empty; expected the frame"):
        frame_of(cloud_of(np.ones((2, 4)), frame_id=""), MAPPING)


def test_two_columns_of_one_field_are_refused() -> None:
    with pytest.raises(ParameterError):
        field_mapping({"x": "x", "y": "x", "z": "z"})
