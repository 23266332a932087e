"""A YAML file as data that remembers the line of every key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from awml_deploy_core.config.paths import Location
from awml_deploy_core.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Document:
    """Parsed content, the line of every key (from 1), and problems of the text itself."""

    content: dict[str, Any]
    lines: Mapping[Location, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def line(self, location: Location) -> int | None:
        """Line of a key, or of the nearest key above it that the file has."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location)


def read_document(path: Path) -> Document:
    """Read a YAML mapping.

    Raises:
        ConfigError: The file is missing, unreadable, not valid YAML or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(path, "cannot be read", got=error.strerror, expected="a YAML file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, "is not UTF-8 text", got=f"byte {error.start}") from None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines: dict[Location, int] = {}
        problems: list[str] = []
        if isinstance(node, yaml.MappingNode):
            _index(node, (), lines, problems)
        content = loader.construct_document(node) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(where, "is not valid YAML", got=error.problem or error.context) from None
    except yaml.YAMLError as error:
        raise ConfigError(path, "is not valid YAML", got=" ".join(str(error).split())) from None
    if not isinstance(content, dict):
        raise ConfigError(path, "is not a mapping", got=type(content).__name__, expected="key: value lines")
    return Document(content, lines, tuple(problems))


def _index(node: yaml.Node, location: Location, lines: dict[Location, int], problems: list[str]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            where = (*location, key_node.value)
            line = key_node.start_mark.line + 1
            if where in lines:
                dotted = ".".join(map(str, where))
                problems.append(f"line {line}: {dotted}: is given twice, first in line {lines[where]}")
            lines.setdefault(where, line)
            _index(value_node, where, lines, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            lines[(*location, index)] = child.start_mark.line + 1
            _index(child, (*location, index), lines, problems)
