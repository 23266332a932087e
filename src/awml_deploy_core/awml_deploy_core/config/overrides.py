"""``--set key.sub=value`` on top of a document."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from awml_deploy_core.config.document import parse_value
from awml_deploy_core.config.paths import Location, from_command_line
from awml_deploy_core.errors import ConfigError


def apply_overrides(content: dict[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """A copy of ``content`` with every ``key.sub=value`` applied, and the problems found.

    Values are YAML; a number in the key is a position in a list. Missing sections are made.
    """
    result = copy.deepcopy(content)
    problems = []
    for text in overrides:
        key, separator, value_text = text.partition("=")
        if not separator or not all(key.split(".")):
            problems.append(f"--set {text}: expected key.sub=value")
            continue
        try:
            value = parse_value(value_text)
        except ConfigError as error:
            problems.append(f"--set {text}: {error}")
            continue
        if reason := _assign(result, key.split("."), from_command_line(value)):
            problems.append(f"--set {text}: {reason}")
    return result, problems


def _assign(root: dict[str, Any], parts: list[str], value: Any) -> str | None:
    target: Any = root
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(target, list):
            if not part.isdigit() or int(part) >= len(target):
                return f"{'.'.join(parts[:depth])} is a list of {len(target)}, there is no item {part}"
            if last:
                target[int(part)] = value
            else:
                target = target[int(part)]
        elif isinstance(target, dict):
            if last:
                target[part] = value
            elif target.get(part) is None:
                target[part] = {}
                target = target[part]
            else:
                target = target[part]
        else:
            return f"{'.'.join(parts[:depth])} is a single value, not a section"
    return None


def overridden_keys(overrides: Sequence[str]) -> frozenset[Location]:
    """The keys that the overrides name."""
    keys = (text.partition("=")[0].split(".") for text in overrides)
    return frozenset(tuple(int(part) if part.isdigit() else part for part in key) for key in keys)
