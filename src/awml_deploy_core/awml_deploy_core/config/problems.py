"""Validation errors as one clause a problem: line, key, what is wrong, what was meant."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import ValidationError

from awml_deploy_core.config.document import Document
from awml_deploy_core.config.paths import Location
from awml_deploy_core.config.schema import DeployConfig
from awml_deploy_core.validation import located_problems

_PLACEHOLDERS: dict[Location, str] = {("name",): "unnamed", ("work_dir",): "."}
_INDENT = "\n    "


def locate(document: Document, location: Location, text: str) -> str:
    """``line N: key.sub: text``, without the line where the file does not have the key.

    For a value that the command line gave, it says so instead.

    Further lines of the text, such as the list of problems in an error, are indented to stay below
    the first in a list.
    """
    text = text.replace("\n", _INDENT)
    dotted = ".".join(map(str, location)) or "configuration"
    if document.is_overridden(location):
        return f"command line: {dotted}: {text}"
    line = document.line(location)
    return f"line {line}: {dotted}: {text}" if line else f"{dotted}: {text}"


def describe(error: ValidationError, document: Document) -> list[str]:
    """Every validation error as one clause."""
    return [
        locate(document, location, clause) for location, clause in located_problems(error, DeployConfig)
    ]


def without_faults(content: dict[str, Any], context: dict[str, Any]) -> DeployConfig | None:
    """The configuration with every faulty key left out, so that later checks can run as well."""
    rest = copy.deepcopy(content)
    for _ in range(8):
        try:
            return DeployConfig.model_validate(rest, context=context)
        except ValidationError as error:
            items = sorted(error.errors(include_url=False), key=lambda item: str(item["loc"]), reverse=True)
            for item in items:
                location = item["loc"][:-1] if item["loc"][-1] == "[key]" else item["loc"]
                if location in _PLACEHOLDERS:
                    rest[str(location[0])] = _PLACEHOLDERS[location]
                else:
                    _remove(rest, location[:-1] if item["type"] == "missing" else location)
    return None


def _remove(root: Any, location: Location) -> None:
    for depth, part in enumerate(location):
        container = root
        root = container[part] if _has(container, part) else None
        if not isinstance(root, dict | list) or depth == len(location) - 1:
            if _has(container, part):
                del container[part]
            return


def _has(container: Any, part: str | int) -> bool:
    if isinstance(container, dict):
        return part in container
    return isinstance(container, list) and isinstance(part, int) and part < len(container)
