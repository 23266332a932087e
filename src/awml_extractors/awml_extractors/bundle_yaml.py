"""YAML files of a bundle, ROS parameter files among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import write_text

# PyYAML also lets out what Python says of a date that is none, or of a thousand open brackets.
_UNREADABLE = (
    OSError,
    yaml.YAMLError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    ValueError,
)


def ros_parameters(path: Path) -> Mapping[str, Any]:
    """The parameters of every node in a ROS parameter file.

    Raises:
        ArtifactError: It is unreadable or has none.
    """
    content = read_yaml(path)
    node = content.get("/**") if isinstance(content, Mapping) else None
    parameters = node.get("ros__parameters") if isinstance(node, Mapping) else None
    if not isinstance(parameters, Mapping):
        raise ArtifactError(path, "has no parameters", expected="a mapping under '/**', 'ros__parameters'")
    return parameters


def read_yaml(path: Path) -> Any:
    """The content of a file.

    Raises:
        ArtifactError: It is missing, unreadable or no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except _UNREADABLE as error:
        raise ArtifactError(path, "cannot be read as YAML", got=" ".join(str(error).split())) from None


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all, keys in the given order.

    Raises:
        ArtifactError: It cannot be written.
    """
    write_text(path, yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100))
