"""What every node of a model is told by its parameters. This module knows no ROS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from awml_deploy_core.errors import ParameterError
from awml_deploy_ros.parameter_spec import ParameterTable, check_value
from awml_deploy_ros.shadow.settings import ShadowSettings
from awml_deploy_ros.snippets.settings import SnippetSettings


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Parameters of every node that stay as they are while it is configured."""

    model_path: str
    backend: str
    device: str
    checkpoint_path: str
    """Empty where the backend runs the bundle's files."""
    num_threads: int
    warm_up_frames: int
    outputs: tuple[str, ...]
    latency_window: int
    latency_budget_file: str = ""
    """Empty for none."""
    shadow: ShadowSettings = field(default_factory=ShadowSettings)
    """Off where the node has no such parameters."""
    snippets: SnippetSettings = field(default_factory=SnippetSettings)
    evidence_folder: str = ""


_PLAIN = (
    *("model_path", "backend", "device", "checkpoint_path", "num_threads", "warm_up_frames"),
    *("latency_window", "latency_budget_file", "evidence_folder"),
)


def common_settings(
    table: ParameterTable, values: Mapping[str, Any], problems: Iterable[str] = ()
) -> dict[str, Any]:
    """What :class:`ModelSettings` is made of, from checked parameter values.

    Args:
        table: The parameters of the node.
        values: By name, of all that are declared at start.
        problems: What is wrong beside what the table can tell.

    Raises:
        ParameterError: Any value is invalid; all problems are listed.
    """
    specs = {spec.name: spec for spec in table.at_start}
    found = [problem for name, value in values.items() if (problem := check_value(specs[name], value))]
    if not values["model_path"]:
        found.append("model_path: is empty, expected the folder of a model bundle")
    if found := [*found, *problems]:
        raise ParameterError("node parameters", "are invalid", problems=found)
    settings = {name: values[name] for name in _PLAIN}
    settings["outputs"] = tuple(dict.fromkeys(values["outputs"]))
    settings["snippets"] = SnippetSettings.from_values(values)
    if "shadow.every_n" in values:
        settings["shadow"] = ShadowSettings.from_values(values)
    return settings
