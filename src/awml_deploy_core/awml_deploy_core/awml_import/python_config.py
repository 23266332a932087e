"""Python configuration files (mmengine's style) read as data."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awml_deploy_core.awml_import.expressions import Evaluator, Unreadable, UnreadableError
from awml_deploy_core.errors import ConfigError

_MAX_BYTES = 1_000_000
_MAX_BASES = 8
"""Bases below each other."""
_DELETE = "_delete_"


@dataclass(frozen=True, eq=False)
class PythonConfig:
    """Values by name, without those that start with an underscore."""

    path: Path
    values: dict[str, Any]
    problems: tuple[str, ...]
    """One clause, with its line, for every value that was not read; such a value is left out, or is
    an :class:`~awml_deploy_core.awml_import.expressions.Unreadable` in its container."""
    has_bases: bool = False
    """Whether it builds on files that were not followed."""


def read_python_config(path: Path, *, follow_bases: bool = False, strict: bool = True) -> PythonConfig:
    """Read a file without executing it.

    Args:
        path: The file.
        follow_bases: Whether files that ``_base_`` names are read as well, and merged as mmengine does.
        strict: Whether a value that is not read is an error. Definitions and imports that no value
            uses never are.

    Raises:
        ConfigError: The file is unreadable or no Python, or, if strict, has values that are not
            read; all are listed with their lines.
    """
    config = _read(path, follow_bases, 0)
    if strict and config.problems:
        raise ConfigError(
            path,
            "has values that are not read without executing it",
            problems=config.problems,
            hint="Write them out, or move them out of the file.",
        )
    return config


def _read(path: Path, follow_bases: bool, depth: int) -> PythonConfig:
    if depth > _MAX_BASES:
        raise ConfigError(path, "has too many bases below each other", expected=f"at most {_MAX_BASES}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(path, "cannot be read", got=error.strerror, expected="a Python file") from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(path, "is too large", got=f"{len(content)} bytes", expected=f"<= {_MAX_BYTES}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(content)
        return _Module(path, follow_bases, depth).read(tree)
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno}", "is not valid Python", got=error.msg) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(path, "is not valid Python", got=error or "nested too deeply") from None


class _Module:
    def __init__(self, path: Path, follow_bases: bool, depth: int) -> None:
        self._path = path
        self._follow = follow_bases
        self._depth = depth
        self._names: dict[str, Any] = {}
        self._base: dict[str, Any] = {}
        self._has_bases = False
        self._problems: dict[tuple[int, str], None] = {}
        self._base_problems: list[str] = []
        self._evaluator = Evaluator(self._names, None)

    def read(self, tree: ast.Module) -> PythonConfig:
        for statement in tree.body:
            try:
                self._statement(statement)
            except UnreadableError as error:
                self._problems[(error.line, error.reason)] = None
                self._lose(statement, error)
        own = {
            name: value
            for name, value in self._names.items()
            if not name.startswith("_") and not isinstance(value, Unreadable)
        }
        problems = [f"line {line}: {reason}" for line, reason in self._all_problems()]
        values = merged(self._base, own)
        return PythonConfig(
            self._path, values, (*self._base_problems, *problems), self._has_bases and not self._follow
        )

    def _all_problems(self) -> list[tuple[int, str]]:
        return sorted({**self._evaluator.problems, **self._problems})

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant(value=str())):
                pass
            case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.ClassDef():
                # Harmless as long as no value uses what it defines.
                reason = "what is imported or defined is not read"
                self._lose(statement, UnreadableError(statement.lineno, reason))
            case ast.Assign(targets=[ast.Name(id="_base_")]):
                self._read_bases(statement.value)
            case ast.Assign():
                for target in statement.targets:
                    self._assign(target, statement.value)
            case ast.AnnAssign(value=ast.expr() as value):
                self._assign(statement.target, value)
            case ast.AugAssign():
                self._augment(statement)
            case _:
                kind = type(statement).__name__.lower()
                raise UnreadableError(statement.lineno, f"statement of kind '{kind}' is not executed")

    def _assign(self, target: ast.expr, node: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._names[target.id] = self._evaluator.part(node)
        elif isinstance(target, ast.Subscript):
            self._container(target)[self._evaluator.value(target.slice)] = self._evaluator.part(node)
        else:
            raise UnreadableError(target.lineno, f"assignment to {ast.unparse(target)} is not read")

    def _augment(self, statement: ast.AugAssign) -> None:
        target = statement.target
        if not isinstance(target, ast.Name | ast.Subscript):
            raise UnreadableError(statement.lineno, f"assignment to {ast.unparse(target)} is not read")
        # The target as it is read, not as it is written to.
        expression = ast.parse(ast.unparse(target), mode="eval").body
        current = self._evaluator.value(ast.copy_location(expression, target))
        value = self._evaluator.value(statement.value)
        result = self._evaluator.binary(statement, statement.op, current, value)
        if isinstance(target, ast.Name):
            self._names[target.id] = result
        else:
            self._container(target)[self._evaluator.value(target.slice)] = result

    def _container(self, target: ast.Subscript) -> dict[Any, Any]:
        container = self._evaluator.value(target.value)
        if not isinstance(container, dict):
            raise UnreadableError(target.lineno, f"assignment to {ast.unparse(target)} is not read")
        return container

    def _lose(self, statement: ast.stmt, error: UnreadableError) -> None:
        """Names that a statement binds are unknown from here on."""
        for node in ast.walk(statement):
            match node:
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                    self._names[name] = Unreadable(error)
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    self._names[name] = Unreadable(error)
                case ast.alias():
                    self._names[(node.asname or node.name).partition(".")[0]] = Unreadable(error)

    def _read_bases(self, node: ast.expr) -> None:
        self._has_bases = True
        if not self._follow:
            return
        value = self._evaluator.value(node)
        for written in [value] if isinstance(value, str) else value:
            if not isinstance(written, str) or "::" in written:
                reason = f"base {written} is a file of another package, which is not followed"
                self._problems[(node.lineno, reason)] = None
                continue
            found = _read(self._path.parent / written, self._follow, self._depth + 1)
            self._base = merged(self._base, found.values)
            self._base_problems += [f"{found.path.name} {problem}" for problem in found.problems]
        problems = self._evaluator.problems
        self._evaluator = Evaluator(self._names, self._base)
        self._evaluator.problems = problems


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """mmengine's merge: dicts key by key, unless ``_delete_`` is among them; anything else replaces."""
    result = dict(base)
    for name, value in own.items():
        old = result.get(name)
        if isinstance(value, Mapping):
            kept = {key: item for key, item in value.items() if key != _DELETE}
            replace = value.get(_DELETE) is True or not isinstance(old, Mapping)
            result[name] = kept if replace else merged(old or {}, kept)
        else:
            result[name] = value
    return result
