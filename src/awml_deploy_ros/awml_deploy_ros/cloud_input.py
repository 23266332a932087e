"""From a message to the current sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from awml_deploy_core.errors import PointCloudError
from awml_deploy_core.pointcloud2 import FieldMapping, columns_of
from awml_deploy_core.points import PointCloudFrame


def field_mapping(columns: Mapping[str, str]) -> FieldMapping:
    """Field mapping from field names by column; without ``intensity`` none is read.

    Raises:
        ParameterError: Two columns name the same field.
    """
    return FieldMapping(columns["x"], columns["y"], columns["z"], columns.get("intensity"))


def frame_of(message: Any, mapping: FieldMapping, *, check_is_dense: bool = True) -> PointCloudFrame:
    """A sensor_msgs/PointCloud2 as the current sweep, without copying its points.

    Args:
        message: The cloud.
        mapping: Which field holds which column.
        check_is_dense: Whether a cloud that says ``is_dense`` and is not is malformed.

    Raises:
        PointCloudError: The message is malformed, or does not say in which frame its points are.
    """
    # Boxes without a frame are of no use: tf2 refuses the empty name wherever they go.
    if not message.header.frame_id:
        raise PointCloudError(
            "header.frame_id",
            "is empty",
            expected="the frame of the points, e.g. base_link",
            hint="Name the frame in the publisher of the clouds.",
        )
    columns = columns_of(message, mapping)
    if check_is_dense and message.is_dense and (bad := columns.count_non_finite()):
        raise PointCloudError(
            "is_dense",
            "is true, but points are NaN or infinite",
            got=f"{bad} of {len(columns)} points",
            expected="finite x, y and z",
            hint="Mend the publisher, or set the parameter check_is_dense to false to leave them out.",
        )
    stamp = message.header.stamp
    return PointCloudFrame.single(
        columns, message.header.frame_id, stamp.sec * 1_000_000_000 + stamp.nanosec
    )
