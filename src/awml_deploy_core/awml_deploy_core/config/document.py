"""A YAML file as data that remembers the line of every key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from awml_deploy_core.config.paths import Location
from awml_deploy_core.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Document:
    """Parsed content, the line of every key (from 1), and problems of the text itself."""

    content: Any
    """A mapping, where :func:`read_document` made it."""
    lines: Mapping[Location, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    overridden: frozenset[Location] = frozenset()
    """Keys whose values are the command line's."""

    def is_overridden(self, location: Location) -> bool:
        """Whether a value, or the section it is in, comes from the command line."""
        return any(location[:depth] in self.overridden for depth in range(1, len(location) + 1))

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
    document = _parse(text, path)
    if document.content is None:
        return replace(document, content={})
    if not isinstance(document.content, dict):
        kind = type(document.content).__name__
        raise ConfigError(path, "is not a mapping", got=kind, expected="key: value lines")
    return document


def parse_value(text: str) -> Any:
    """A single YAML value, as on the command line.

    Raises:
        ConfigError: It is not valid YAML, refers to itself or has a key twice.
    """
    document = _parse(text, "value")
    if document.problems:
        raise ConfigError("value", "is not valid", problems=document.problems)
    return document.content


def _parse(text: str, origin: object) -> Document:
    lines: dict[Location, int] = {}
    problems: list[str] = []
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _Index(origin, lines, problems).add(node, ())
            content = loader.construct_document(node) if node is not None else None
        except RecursionError:
            raise yaml.MarkedYAMLError(
                problem="nested too deeply", problem_mark=loader.get_mark()
            ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{origin}:{mark.line + 1}:{mark.column + 1}" if mark else str(origin)
        raise ConfigError(where, "is not valid YAML", got=error.problem or error.context) from None
    except yaml.YAMLError as error:
        raise ConfigError(origin, "is not valid YAML", got=" ".join(str(error).split())) from None
    return Document(content, lines, tuple(problems))


class _Loader(yaml.SafeLoader):
    """Says where a scalar is that looks like a date or a number but is none, e.g. 2026-13-01."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError) as error:
            problem = f"not a {node.tag.rpartition(':')[2]}: {error}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


class _Index:
    """Collects the line of every key, and the keys that are given twice."""

    def __init__(self, origin: object, lines: dict[Location, int], problems: list[str]) -> None:
        self._origin = origin
        self._lines = lines
        self._problems = problems
        self._open: set[yaml.Node] = set()

    def add(self, node: yaml.Node, location: Location) -> None:
        """Add what is below a node.

        Raises:
            ConfigError: An alias in it names what it is part of.
        """
        if node in self._open:
            line = self._lines.get(location, 1)
            dotted = ".".join(map(str, location))
            raise ConfigError(
                f"{self._origin}:{line}",
                f"{dotted} refers to itself",
                hint=f"Its alias names what it is part of, from line {node.start_mark.line + 1} on.",
            )
        self._open.add(node)
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                self._add_key(key_node, value_node, location)
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                where = (*location, index)
                self._lines[where] = child.start_mark.line + 1
                self.add(child, where)
        self._open.remove(node)

    def _add_key(self, key_node: yaml.Node, value_node: yaml.Node, location: Location) -> None:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(
                f"{self._origin}:{line}",
                f"a {'list' if isinstance(key_node, yaml.SequenceNode) else 'mapping'} is used as a key",
                expected="a name",
                hint="Quote it if it is one.",
            )
        where = (*location, key_node.value)
        if where in self._lines:
            dotted = ".".join(map(str, where))
            self._problems.append(
                f"line {line}: {dotted}: is given twice, first in line {self._lines[where]}"
            )
        self._lines.setdefault(where, line)
        self.add(value_node, where)
