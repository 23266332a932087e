"""Errors of pydantic models as one clause a problem: the key, what is wrong, what was meant."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ValidationError

_SCALARS = (bool, int, float, str)
_LONGEST_VALUE = 80
# Where pydantic would speak of dictionaries, tuples and the names of classes.
_WRONG_KIND = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "is not a section of key: value"),
    **dict.fromkeys(("list_type", "tuple_type"), "is not a list"),
}


def problem_clauses(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Every problem as ``key.sub: clause``; one of the whole document has no key.

    Args:
        error: What validating gave.
        model: What was validated, for the names that its sections know.
    """
    return [
        f"{'.'.join(map(str, location))}: {clause}" if location else clause
        for location, clause in located_problems(error, model)
    ]


def located_problems(
    error: ValidationError, model: type[BaseModel]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every problem with the key (or list position) it is about, below ``model``.

    A validator of a whole section may raise several problems in one ValueError, joined by ``; ``.
    """
    for item in error.errors(include_url=False):
        location, value = item["loc"], item["input"]
        if location and location[-1] == "[key]":
            # pydantic's way to say that the key of a mapping is wrong, not its value.
            location = location[:-1]
        if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            yield location, "unknown key" + suggest(str(location[-1]), known_keys(model, location[:-1]))
        elif item["type"] in ("missing", "missing_argument"):
            yield location, "is required"
        elif item["type"] in _WRONG_KIND:
            yield location, _WRONG_KIND[item["type"]] + _got(value)
        elif item["type"] == "value_error" and not isinstance(value, _SCALARS):
            yield from ((location, part) for part in _text(item["msg"]).split("; "))
        else:
            yield location, _text(item["msg"]) + _got(value)


def suggest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` or the list of what is known."""
    names = sorted(known)
    if close := difflib.get_close_matches(word, names, n=1):
        return f" (did you mean {close[0]}?)"
    return f" (known: {', '.join(names)})" if names else ""


def known_keys(model: type[BaseModel], location: Iterable[str | int]) -> tuple[str, ...]:
    """Keys of the section at a location; list positions and free keys are passed through."""
    section: type[Any] = model
    for part in location:
        section = _section_type(_fields(section).get(str(part))) or section
    return tuple(_fields(section))


def _fields(section: type[Any]) -> dict[str, Any]:
    """Type of every key of a section."""
    if issubclass(section, BaseModel):
        return {name: info.annotation for name, info in section.model_fields.items()}
    hints = get_type_hints(section)
    return {field.name: hints[field.name] for field in dataclasses.fields(section) if field.init}


def _section_type(annotation: Any) -> type[Any] | None:
    if isinstance(annotation, type) and (
        issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)
    ):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_type(part))), None)


def _text(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _got(value: object) -> str:
    """``, got X`` for a value that is worth showing: a short one."""
    if value is None:
        return ", got nothing"
    shown = repr(value) if isinstance(value, _SCALARS) else ""
    return f", got {shown}" if 0 < len(shown) <= _LONGEST_VALUE else ""
