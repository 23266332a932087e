"""Paths written in a configuration: environment variables, home and the folder they start from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


_SOURCE_END = re.compile(r"[#?]")


class CommandLineText(str):
    """A string given on the command line: relative paths in it start from the working directory."""

    __slots__ = ()


def from_command_line(value: Any) -> Any:
    """Mark every string in a parsed ``--set`` value as given on the command line."""
    if isinstance(value, str):
        return CommandLineText(value)
    if isinstance(value, list):
        return [from_command_line(item) for item in value]
    if isinstance(value, dict):
        return {key: from_command_line(item) for key, item in value.items()}
    return value


Location = tuple[str | int, ...]


def expand_variables(value: Any, environment: Mapping[str, str]) -> tuple[Any, list[tuple[Location, str]]]:
    """Replace ``${NAME}`` and ``${NAME:-default}`` in every string of a parsed document.

    Returns:
        The document, and where which variables without a default are not set.
    """
    missing: list[tuple[Location, str]] = []

    def expand(item: Any, where: Location) -> Any:
        if isinstance(item, dict):
            return {key: expand(child, (*where, key)) for key, child in item.items()}
        if isinstance(item, list):
            return [expand(child, (*where, index)) for index, child in enumerate(item)]
        if not isinstance(item, str) or "${" not in item:
            return item

        def replace(match: re.Match[str]) -> str:
            name, default = match.group(1), match.group(2)
            if (found := environment.get(name, default)) is None:
                missing.append((where, name))
                return match.group(0)
            return found

        return type(item)(_VARIABLE.sub(replace, item))

    return expand(value, ()), missing


def resolve_path(value: object, info: ValidationInfo) -> object:
    """Absolute form of a configured path; a relative one starts from the configuration's folder."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError("is not a path")
    if not value.strip():
        raise ValueError("is empty")
    base = Path.cwd() if isinstance(value, CommandLineText) else _base(info)
    try:
        path = Path(os.path.normpath(base / Path(value).expanduser()))
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        # Whether it has to exist depends on what it is for.
        pass
    except OSError as error:
        raise ValueError(f"cannot be reached: {error.strerror}") from None
    except RuntimeError:
        raise ValueError("starts from the home of a user that is not known") from None
    return path


def resolve_source(value: object, info: ValidationInfo) -> object:
    """Absolute form of a sample source: a path, with what a family may allow after ``#`` or ``?``."""
    if not isinstance(value, str):
        return value
    path = _SOURCE_END.split(value)[0]
    resolved = resolve_path(type(value)(path), info)
    return f"{resolved}{value[len(path) :]}"


def _base(info: ValidationInfo) -> Path:
    context = info.context or {}
    base: Path = context.get("base", Path.cwd())
    return base
