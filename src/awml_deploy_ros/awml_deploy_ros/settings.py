"""What the node ``centerpoint`` is told by its parameters. This module knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from awml_deploy_ros.node.model_settings import ModelSettings, common_settings
from awml_deploy_ros.parameters import CENTERPOINT


@dataclass(frozen=True)
class DensificationSettings:
    """How past sweeps are added to the current one."""

    num_past_frames: int = 1
    """0 adds none and needs no transforms."""
    world_frame_id: str = "map"
    max_past_sweep_age_ms: float = 500.0
    tf_timeout_ms: float = 50.0
    """How long to wait for a transform that is late."""
    drop_without_tf: bool = False
    """Whether a cloud without its transforms is dropped, rather than run alone."""


@dataclass(frozen=True, kw_only=True)
class NodeSettings(ModelSettings):
    """Parameters of ``centerpoint`` that stay as they are while it is configured."""

    field_mapping: Mapping[str, str]
    """Field of the cloud by column: x, y, z and, if wanted, intensity."""
    check_is_dense: bool
    marker_lifetime_ms: float
    densification: DensificationSettings

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> NodeSettings:
        """Settings from the values of the parameters :data:`~awml_deploy_ros.parameters.AT_START`.

        Raises:
            ParameterError: Any value is invalid; all problems are listed.
        """
        columns, problems = cloud_columns(values)
        if not values["densification_params.world_frame_id"].strip("/"):
            problems.append("densification_params.world_frame_id: is empty, expected a frame such as map")
        return cls(
            **common_settings(CENTERPOINT, values, problems),
            field_mapping=columns,
            check_is_dense=values["check_is_dense"],
            marker_lifetime_ms=values["markers.lifetime_ms"],
            densification=DensificationSettings(
                num_past_frames=values["densification_params.num_past_frames"],
                world_frame_id=values["densification_params.world_frame_id"].lstrip("/"),
                max_past_sweep_age_ms=values["densification_params.max_past_sweep_age_ms"],
                tf_timeout_ms=values["densification_params.tf_timeout_ms"],
                drop_without_tf=values["densification_params.on_missing_tf"] == "drop",
            ),
        )


def cloud_columns(values: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Field of a cloud by column from the parameters ``field_mapping.*``, and what is wrong with them."""
    columns = {axis: values[f"field_mapping.{axis}"] for axis in ("x", "y", "z", "intensity")}
    problems = [f"field_mapping.{axis}: is empty" for axis in "xyz" if not columns[axis]]
    return {axis: field for axis, field in columns.items() if field}, problems
