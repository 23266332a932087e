"""The node's parameters, read from its parameter file without a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.parameter import Parameter, parameter_dict_from_yaml_file

from awml_deploy_core.errors import MissingDependencyError, ParameterError
from awml_deploy_core.files import io_errors
from awml_deploy_ros.parameters import AT_START, BY_NAME, CLASS_SCORES_PREFIX, pipeline_options
from awml_deploy_ros.ros_parameters import plain
from awml_deploy_ros.settings import NodeSettings

NODE = "/centerpoint"
_TYPES = {
    "bool": bool,
    "int": int,
    "double": float,
    "string": str,
    "double[]": list,
    "string[]": list,
}


@dataclass(frozen=True)
class NodeValues:
    """What a node would be given."""

    settings: NodeSettings
    options: Mapping[str, Any]
    """Run-time options of the pipeline; those of the bundle are the defaults."""


def default_parameter_file() -> Path:
    """The installed parameter file that the launch file uses as well.

    Raises:
        MissingDependencyError: The package is not installed.
    """
    try:
        share = get_package_share_directory("awml_deploy_ros")
    except PackageNotFoundError:
        raise MissingDependencyError(
            "awml_deploy_ros", "is not installed", hint="Build and source the workspace, or name a file."
        ) from None
    return Path(share, "config", "centerpoint", "node.param.yaml")


def read_node_values(path: Path, overrides: Mapping[str, Any]) -> NodeValues:
    """The values that the node ``/centerpoint`` takes from a parameter file.

    Args:
        path: A ROS parameter file.
        overrides: Parameters that win over the file's, by name.

    Raises:
        ParameterError: The file is no parameter file, or a value is invalid; all problems are listed.
        ArtifactError: The file cannot be read.
    """
    given = {**_of_file(path), **overrides}
    problems = [problem for name, value in given.items() if (problem := _type_problem(name, value))]
    if problems:
        raise ParameterError(path, "has values that the node would refuse", problems=problems)
    values = {spec.name: given.get(spec.name, spec.default) for spec in AT_START}
    return NodeValues(NodeSettings.from_values(values), pipeline_options(given))


def _of_file(path: Path) -> dict[str, Any]:
    with io_errors(path, "parameter file cannot be read"):
        path.read_bytes()
    try:
        found = parameter_dict_from_yaml_file(str(path), use_wildcard=True, target_nodes=[NODE])
    except (RuntimeError, AttributeError, TypeError, KeyError, yaml.YAMLError) as error:
        raise ParameterError(
            path, "is not a ROS parameter file for the node", got=" ".join(str(error).split())
        ) from error
    return {name: plain(Parameter.from_parameter_msg(message)) for name, message in found.items()}


def _type_problem(name: str, value: Any) -> str | None:
    spec = BY_NAME.get(name)
    if spec is None:
        if name.startswith(f"{CLASS_SCORES_PREFIX}."):
            return None
        return None if name == "use_sim_time" else f"{name}: the node has no such parameter"
    expected = _TYPES[spec.type]
    # A bool is an int to Python, and to ROS it is none.
    fits = isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
    return None if fits else f"{name}: {value!r}, expected {spec.type}"
