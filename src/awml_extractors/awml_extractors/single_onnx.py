"""Foreign bundles of models that are one graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from awml_deploy_core.errors import ArtifactError, ConfigError
from awml_deploy_core.validation import problem_clauses
from awml_extractors.bundle_yaml import read_yaml, ros_parameters

DEPLOY_METADATA = "deploy_metadata.yaml"
"""What Autoware's own file cannot express; a foreign bundle may not have it."""

PackageT = TypeVar("PackageT", bound=BaseModel)
ConfigT = TypeVar("ConfigT")


def read_package(path: Path, schema: type[PackageT]) -> PackageT | None:
    """The ROS parameters of an Autoware package, or None if there is no such file.

    Args:
        path: Of the parameter file.
        schema: Of what is read of it.

    Raises:
        ArtifactError: The file is unreadable or invalid.
    """
    if not path.is_file():
        return None
    try:
        return schema.model_validate(dict(ros_parameters(path)))
    except ValidationError as error:
        raise ArtifactError(path, "is invalid", problems=problem_clauses(error, schema)) from None


def parse_bundle(
    folder: Path,
    content: Mapping[str, Any],
    metadata_keys: Sequence[str],
    parse: Callable[[Mapping[str, Any]], ConfigT],
) -> ConfigT:
    """The configuration of a foreign bundle.

    Args:
        folder: Of the bundle.
        content: Keys of the configuration that its package says.
        metadata_keys: Those that :data:`DEPLOY_METADATA` says, where it is there and has them.
        parse: Makes the configuration.

    Raises:
        ArtifactError: The metadata is unreadable or invalid, or there is not one ONNX file.
    """
    found = {**content, "onnx_file": _find_onnx(folder)}
    path = folder / DEPLOY_METADATA
    own = read_yaml(path) if path.is_file() else None
    if isinstance(own, Mapping):
        found |= {key: own[key] for key in metadata_keys if key in own}
    try:
        return parse(found)
    except ConfigError as error:
        raise ArtifactError(
            folder, "its metadata is invalid", problems=error.problems or (str(error),)
        ) from None


def _find_onnx(folder: Path) -> str:
    """Name of the only ONNX file of a folder.

    Raises:
        ArtifactError: There is none, or there are several.
    """
    names = sorted(path.name for path in folder.glob("*.onnx"))
    if len(names) != 1:
        raise ArtifactError(
            folder,
            "does not have exactly one ONNX file",
            got=", ".join(names) or "none",
            expected="the file of the model",
            hint="Move the others away." if names else None,
        )
    return names[0]
