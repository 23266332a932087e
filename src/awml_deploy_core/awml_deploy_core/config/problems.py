"""Validation errors as one clause a problem: line, key, what is wrong, what was meant."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from awml_deploy_core.config.document import Document
from awml_deploy_core.config.paths import Location
from awml_deploy_core.config.schema import DeployConfig

_PLACEHOLDERS: dict[Location, str] = {("name",): "unnamed", ("work_dir",): "."}


def locate(document: Document, location: Location, text: str) -> str:
    """``line N: key.sub: text``, without the line where the file does not have the key."""
    dotted = ".".join(map(str, location)) or "configuration"
    line = document.line(location)
    return f"line {line}: {dotted}: {text}" if line else f"{dotted}: {text}"


def suggest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` or the list of what is known."""
    names = sorted(known)
    if close := difflib.get_close_matches(word, names, n=1):
        return f" (did you mean {close[0]}?)"
    return f" (known: {', '.join(names)})" if names else ""


def describe(error: ValidationError, document: Document) -> list[str]:
    """Every validation error as one clause."""
    return [
        locate(document, item["loc"], _clause(item["type"], item["msg"], item["loc"], item["input"]))
        for item in error.errors(include_url=False)
    ]


def _clause(kind: str, message: str, location: Location, value: object) -> str:
    if kind == "extra_forbidden":
        return "unknown key" + suggest(str(location[-1]), known_keys(location[:-1]))
    if kind == "missing":
        return "is required"
    text = message.removeprefix("Value error, ")
    text = text[:1].lower() + text[1:]
    if isinstance(value, dict | list | tuple):
        return text
    return f"{text}, got {value!r}" if value is not None else f"{text}, got nothing"


def known_keys(location: Location) -> tuple[str, ...]:
    """Keys of the section at a location; list positions and free keys are passed through."""
    section: type[BaseModel] = DeployConfig
    for part in location:
        info = section.model_fields.get(str(part))
        inner = _section_type(info.annotation) if info else None
        section = inner or section
    return tuple(section.model_fields)


def _section_type(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if found := _section_type(argument):
            return found
    return None


def without_faults(content: dict[str, Any], context: dict[str, Any]) -> DeployConfig | None:
    """The configuration with every faulty key left out, so that later checks can run as well."""
    rest = copy.deepcopy(content)
    for _ in range(8):
        try:
            return DeployConfig.model_validate(rest, context=context)
        except ValidationError as error:
            items = sorted(error.errors(include_url=False), key=lambda item: str(item["loc"]), reverse=True)
            for item in items:
                location = item["loc"]
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
