"""Expressions of Python evaluated without running Python.

Literals, ``dict()`` and a few other constructors, names, subscripts, f-strings, arithmetic and the
methods of text that only look at their text. Everything else is refused with its line. Results are
bounded, so that no expression can take the machine's time or memory.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

LIMIT = 100_000
"""Most items or characters of a result of arithmetic, and bits of nothing longer than a path."""
_MAX_INT = 10**30

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (dict, list, tuple, int, float, str, bool, len, sum, min, max, abs, round)
}
_TEXT_METHODS = frozenset(
    {"strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "removeprefix", "removesuffix"}
)
_FORMAT = re.compile(r"[<>=^]?[+\- ]?#?0?\d{0,3},?(\.\d{1,2})?[bcdeEfFgGnosxX%]?")
_CONVERSIONS: dict[int, Callable[[Any], str]] = {-1: format, ord("s"): str, ord("r"): repr, ord("a"): ascii}


class UnreadableError(Exception):
    """An expression that is not evaluated, with its line."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(f"line {line}: {reason}")


class Unreadable:
    """Stands in a container for a value that could not be read."""

    def __init__(self, error: UnreadableError) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"<{self.error}>"


class Evaluator:
    """Evaluates expressions over the names known so far.

    Args:
        names: Values by name; an :class:`Unreadable` among them is refused when it is used.
        base: What ``_base_`` stands for, or None where bases are not followed.
    """

    def __init__(self, names: Mapping[str, Any], base: Mapping[str, Any] | None) -> None:
        self._names = names
        self._base = base
        self.problems: dict[tuple[int, str], None] = {}
        """Line and reason of every value that was replaced by an :class:`Unreadable`, in order."""

    def part(self, node: ast.expr) -> Any:
        """The value of an expression, or an :class:`Unreadable`, which is remembered as a problem."""
        try:
            return self.value(node)
        except UnreadableError as error:
            self.problems[(error.line, error.reason)] = None
            return Unreadable(error)

    def value(self, node: ast.expr) -> Any:
        """The value of an expression.

        Raises:
            UnreadableError: It, or what it is made of, is not evaluated.
        """
        handler = getattr(self, f"_{type(node).__name__.lower()}", None)
        if handler is None:
            raise UnreadableError(node.lineno, f"{_shown(node)} is not read")
        result = handler(node)
        if isinstance(result, Unreadable):
            raise result.error
        return result

    def _constant(self, node: ast.Constant) -> Any:
        if node.value is None or isinstance(node.value, bool | int | float | str):
            return node.value
        raise UnreadableError(node.lineno, f"{_shown(node)} is not read")

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self._names:
            raise UnreadableError(node.lineno, f"{node.id} is not defined in this file")
        return self._names[node.id]

    def _list(self, node: ast.List) -> list[Any]:
        return self._items(node.elts)

    def _tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self._items(node.elts))

    def _items(self, nodes: list[ast.expr]) -> list[Any]:
        items: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                items += self._sequence(node.value)
            else:
                items.append(self.part(node))
        return items

    def _sequence(self, node: ast.expr) -> list[Any]:
        value = self.value(node)
        if not isinstance(value, list | tuple):
            raise UnreadableError(node.lineno, f"{_shown(node)} is no list")
        return list(value)

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                result |= self._mapping(value)
                continue
            name = self.value(key)
            if not isinstance(name, str | int | float | bool | None):
                raise UnreadableError(key.lineno, f"{_shown(key)} is no key")
            result[name] = self.part(value)
        return result

    def _mapping(self, node: ast.expr) -> dict[Any, Any]:
        value = self.value(node)
        if not isinstance(value, dict):
            raise UnreadableError(node.lineno, f"{_shown(node)} is no dict")
        return value

    def _set(self, node: ast.Set) -> Any:
        """``{{_base_.name}}``, mmengine's way to use a value of a base."""
        inner = node.elts[0]
        if len(node.elts) == 1 and isinstance(inner, ast.Set) and len(inner.elts) == 1:
            return self.value(inner.elts[0])
        raise UnreadableError(node.lineno, f"{_shown(node)} is not read")

    def _attribute(self, node: ast.Attribute) -> Any:
        parts = [node.attr]
        root = node.value
        while isinstance(root, ast.Attribute):
            parts.append(root.attr)
            root = root.value
        if not (isinstance(root, ast.Name) and root.id == "_base_"):
            raise UnreadableError(node.lineno, f"{_shown(node)} is not read")
        if self._base is None:
            raise UnreadableError(node.lineno, f"{_shown(node)} is of _base_, which is not followed")
        value: Any = self._base
        for part in reversed(parts):
            if not isinstance(value, Mapping) or part not in value:
                raise UnreadableError(node.lineno, f"{_shown(node)} is not in the base")
            value = value[part]
        return value

    def _subscript(self, node: ast.Subscript) -> Any:
        container = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = (node.slice.lower, node.slice.upper, node.slice.step)
            index: Any = slice(*(None if bound is None else self.value(bound) for bound in bounds))
        else:
            index = self.value(node.slice)
        if not isinstance(container, dict | list | tuple | str):
            raise UnreadableError(node.lineno, f"{_shown(node)} is not read")
        return self._apply(node, lambda: container[index])

    def _binop(self, node: ast.BinOp) -> Any:
        return self.binary(node, node.op, self.value(node.left), self.value(node.right))

    def binary(self, node: ast.expr | ast.stmt, kind: ast.operator, left: Any, right: Any) -> Any:
        """An arithmetic operation.

        Raises:
            UnreadableError: The operator or the operands are not supported, or the result is too large.
        """
        operation = _BINARY.get(type(kind))
        text = any(isinstance(side, str) for side in (left, right))
        too_large = False
        if isinstance(kind, ast.Mult):
            sizes = [len(side) if isinstance(side, str | list | tuple) else side for side in (left, right)]
            sized = any(isinstance(side, str | list | tuple) for side in (left, right))
            too_large = sized and all(isinstance(s, int) for s in sizes) and sizes[0] * sizes[1] > LIMIT
        elif isinstance(kind, ast.Pow | ast.LShift):
            too_large = not (isinstance(right, int | float) and abs(right) <= 64)
            too_large |= isinstance(left, int | float) and abs(left) > _MAX_INT
        if operation is None or too_large or (isinstance(kind, ast.Mod) and text):
            raise UnreadableError(node.lineno, f"{_shown(node)} is not evaluated")
        return self._apply(node, lambda: operation(left, right))

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        operation = _UNARY.get(type(node.op))
        if operation is None:
            raise UnreadableError(node.lineno, f"{_shown(node)} is not read")
        value = self.value(node.operand)
        return self._apply(node, lambda: operation(value))

    def _joinedstr(self, node: ast.JoinedStr) -> str:
        text = ""
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                text += self._formatted(part)
            else:
                text += str(self.value(part))
        return text

    def _formatted(self, node: ast.FormattedValue) -> str:
        value = self.value(node.value)
        form = self._joinedstr(node.format_spec) if isinstance(node.format_spec, ast.JoinedStr) else ""
        if not isinstance(value, str | int | float | bool | None) or not _FORMAT.fullmatch(form):
            raise UnreadableError(node.lineno, f"{_shown(node.value)} is not formatted")
        converted = value if node.conversion == -1 else _CONVERSIONS[node.conversion](value)
        return str(self._apply(node, lambda: format(converted, form)))

    def _call(self, node: ast.Call) -> Any:
        arguments = self._items(node.args)
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                named |= self._mapping(keyword.value)
            else:
                named[keyword.arg] = self.part(keyword.value)
        function = node.func
        if isinstance(function, ast.Name) and function.id in _FUNCTIONS and function.id not in self._names:
            constructor = _FUNCTIONS[function.id]
            if constructor not in (dict, list, tuple):
                self._refuse_unreadable([*arguments, *named.values()])
            return self._apply(node, lambda: constructor(*arguments, **named))
        if isinstance(function, ast.Attribute) and function.attr in _TEXT_METHODS and not named:
            text = self.value(function.value)
            if isinstance(text, str) and all(isinstance(argument, str) for argument in arguments):
                return getattr(text, function.attr)(*arguments)
        raise UnreadableError(node.lineno, f"call of {_shown(function)} is not executed")

    @staticmethod
    def _refuse_unreadable(values: list[Any]) -> None:
        for value in values:
            if isinstance(value, Unreadable):
                raise value.error
            if isinstance(value, list | tuple):
                Evaluator._refuse_unreadable(list(value))

    @staticmethod
    def _apply(node: ast.expr | ast.stmt, operation: Callable[[], Any]) -> Any:
        try:
            result = operation()
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UnreadableError(node.lineno, f"{_shown(node)} cannot be evaluated, {reason}") from None
        size = len(result) if isinstance(result, str | list | tuple | dict) else 0
        if size > LIMIT or (isinstance(result, int) and abs(result) > _MAX_INT):
            raise UnreadableError(node.lineno, f"{_shown(node)} is too large")
        return result


def _shown(node: ast.AST) -> str:
    """Source of a node, cut to what a message can hold."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
