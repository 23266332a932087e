"""What the node is told by its parameters when it is configured. This module knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from awml_deploy_core.errors import ParameterError
from awml_deploy_ros.parameter_spec import check_value
from awml_deploy_ros.parameters import BY_NAME
from awml_deploy_ros.shadow.settings import ShadowSettings
from awml_deploy_ros.snippets.settings import SnippetSettings


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


@dataclass(frozen=True)
class NodeSettings:
    """Parameters that stay as they are while the node is configured."""

    model_path: str
    backend: str
    device: str
    checkpoint_path: str
    """Empty where the backend runs the bundle's files."""
    num_threads: int
    warm_up_frames: int
    outputs: tuple[str, ...]
    field_mapping: Mapping[str, str]
    """Field of the cloud by column: x, y, z and, if wanted, intensity."""
    check_is_dense: bool
    marker_lifetime_ms: float
    latency_window: int
    densification: DensificationSettings
    latency_budget_file: str = ""
    """Empty for none."""
    shadow: ShadowSettings = field(default_factory=ShadowSettings)
    snippets: SnippetSettings = field(default_factory=SnippetSettings)
    evidence_folder: str = ""

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> NodeSettings:
        """Settings from the values of the parameters :data:`~awml_deploy_ros.parameters.AT_START`.

        Raises:
            ParameterError: Any value is invalid; all problems are listed.
        """
        problems = [
            problem for name, value in values.items() if (problem := check_value(BY_NAME[name], value))
        ]
        columns = {axis: values[f"field_mapping.{axis}"] for axis in ("x", "y", "z", "intensity")}
        problems += [f"field_mapping.{axis}: is empty" for axis in "xyz" if not columns[axis]]
        if not values["model_path"]:
            problems.append("model_path: is empty, expected the folder of a model bundle")
        if not values["densification_params.world_frame_id"].strip("/"):
            problems.append("densification_params.world_frame_id: is empty, expected a frame such as map")
        if problems:
            raise ParameterError("node parameters", "are invalid", problems=problems)
        return cls(
            model_path=values["model_path"],
            backend=values["backend"],
            device=values["device"],
            checkpoint_path=values["checkpoint_path"],
            num_threads=values["num_threads"],
            warm_up_frames=values["warm_up_frames"],
            outputs=tuple(dict.fromkeys(values["outputs"])),
            field_mapping={axis: field for axis, field in columns.items() if field},
            check_is_dense=values["check_is_dense"],
            marker_lifetime_ms=values["markers.lifetime_ms"],
            latency_window=values["latency_window"],
            latency_budget_file=values["latency_budget_file"],
            shadow=ShadowSettings.from_values(values),
            snippets=SnippetSettings.from_values(values),
            evidence_folder=values["evidence_folder"],
            densification=DensificationSettings(
                num_past_frames=values["densification_params.num_past_frames"],
                world_frame_id=values["densification_params.world_frame_id"].lstrip("/"),
                max_past_sweep_age_ms=values["densification_params.max_past_sweep_age_ms"],
                tf_timeout_ms=values["densification_params.tf_timeout_ms"],
                drop_without_tf=values["densification_params.on_missing_tf"] == "drop",
            ),
        )
