"""Imports a deploy configuration of AWML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from awml_deploy_core.awml_import.expressions import Unreadable
from awml_deploy_core.awml_import.mapping import Mapper
from awml_deploy_core.awml_import.python_config import PythonConfig, read_python_config
from awml_deploy_core.awml_import.source import AwmlImporter, AwmlModel, AwmlSource, lookup
from awml_deploy_core.config.schema import DeployConfig
from awml_deploy_core.errors import ConfigError
from awml_deploy_core.family import available_families, load_family
from awml_deploy_core.runtime.registry import available_backends

MODEL_CONFIG = "model_config"
"""What keys of the model's own configuration start with in reports."""

_BY_FAMILY = "the model family does this"
_DEFAULTED_SECTIONS = ("export", "verification", "evaluation", "runtime")


@dataclass(frozen=True)
class ImportedKey:
    """What became of one key."""

    state: Literal["mapped", "default", "unused"]
    """``unused``: AWML has it, and it has no counterpart; ``default``: only this suite has it."""
    key: str
    """AWML's key; empty for a default."""
    target: str
    """Our key; empty where there is none, or where AWML's value is what the family does anyway."""
    value: Any
    note: str = ""


@dataclass(frozen=True, eq=False)
class ImportedConfig:
    """Our configuration with absolute paths, and how it came about."""

    content: dict[str, Any]
    keys: tuple[ImportedKey, ...]
    family: str
    warnings: tuple[str, ...] = ()


def import_awml_config(
    deploy_path: Path,
    model_path: Path | None = None,
    *,
    root: Path | None = None,
    family: str | None = None,
    follow_bases: bool = False,
) -> ImportedConfig:
    """Read AWML's configuration, of either generation, without executing it.

    Args:
        deploy_path: The deploy configuration.
        model_path: The model's own configuration (mmdet3d's style), from which the variant follows.
        root: Folder that relative paths start from; none is the working directory, as with AWML.
        family: The model family, where the files do not tell.
        follow_bases: Whether ``_base_`` of both files is read as well.

    Raises:
        ConfigError: A file is unreadable or needs to be executed, no family knows the model, or what
            is written contradicts the family.
    """
    deploy = read_python_config(deploy_path, follow_bases=follow_bases)
    model = None
    if model_path is not None:
        model = read_python_config(model_path, follow_bases=follow_bases, strict=False)
    source = AwmlSource(deploy.values, model.values if model else None)
    name, found = _family_of(source, deploy_path, family)
    data_root = lookup(source.model or {}, "data_root")
    mapper = Mapper(
        deploy.values,
        (root or Path.cwd()).resolve(),
        data_root if isinstance(data_root, str) else None,
        available_backends(),
    )
    mapper.run()
    content = {
        "name": mapper.content.pop("name"),
        "model": {"family": name, **found.section},
        **mapper.content,
    }
    keys = [*_used_keys(deploy.values, mapper, found), *_model_keys(found, source), *_defaults(content)]
    return ImportedConfig(content, tuple(keys), name, tuple(_warnings(deploy, model)))


def _family_of(source: AwmlSource, path: Path, chosen: str | None) -> tuple[str, AwmlModel]:
    names = [chosen] if chosen is not None else available_families()
    for name in names:
        family = load_family(name)
        if isinstance(family, AwmlImporter):
            model = family.import_awml(source)
            if model is not None:
                return name, model
    raise ConfigError(
        path,
        f"is not of family {chosen}" if chosen else "is of no model family that is installed",
        got=f"task_type {source.task_type}, components {', '.join(source.components())}",
        expected=", ".join(available_families()),
        hint=None if chosen else "Name it with --family, or give the model's own configuration.",
    )


def _used_keys(deploy: Mapping[str, Any], mapper: Mapper, model: AwmlModel) -> Iterator[ImportedKey]:
    targets = {**mapper.targets, **model.used}
    for key, value in leaves(deploy):
        prefix, target = _longest_prefix(targets, key)
        note_prefix, note = _longest_prefix(mapper.notes, key)
        if prefix is not None:
            shown = _with_model(target or "", model, prefix)
            yield ImportedKey("mapped", key, shown, value, note or ("" if shown else _BY_FAMILY))
        elif note_prefix is not None:
            yield ImportedKey("unused", key, "", value, note or "")
        else:
            yield ImportedKey("unused", key, "", value, "no counterpart")


def _with_model(target: str, model: AwmlModel, prefix: str) -> str:
    return f"model.{target}" if target and prefix in model.used else target


def _model_keys(model: AwmlModel, source: AwmlSource) -> Iterator[ImportedKey]:
    """Only keys that are used: a training configuration has hundreds that are none of ours."""
    for key, target in model.used.items():
        if key.startswith(f"{MODEL_CONFIG}."):
            value = lookup(source.model or {}, key.removeprefix(f"{MODEL_CONFIG}."))
            yield ImportedKey("mapped", key, f"model.{target}", value)


def _longest_prefix(table: Mapping[str, str], key: str) -> tuple[str | None, str | None]:
    parts = key.split(".")
    for depth in range(len(parts), 0, -1):
        prefix = ".".join(parts[:depth])
        if prefix in table:
            return prefix, table[prefix]
    return None, None


def leaves(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no mapping, and every empty one, with its dotted key.

    Lists of mappings are taken apart; others are values.
    """
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{key}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            yield from leaves(dict(enumerate(value)), f"{key}.")
        else:
            yield key, value


def _defaults(content: Mapping[str, Any]) -> Iterator[ImportedKey]:
    """Keys of this suite that AWML does not have, or that the file leaves out."""
    for name in _DEFAULTED_SECTIONS:
        if name in DeployConfig.model_fields:
            section = DeployConfig.model_fields[name].get_default(call_default_factory=True)
            given = content.get(name)
            yield from _section_defaults(section, given if isinstance(given, Mapping) else {}, name)


def _section_defaults(section: BaseModel, given: Mapping[str, Any], prefix: str) -> Iterator[ImportedKey]:
    for name in type(section).model_fields:
        value, key = getattr(section, name), f"{prefix}.{name}"
        if isinstance(value, BaseModel):
            below = given.get(name)
            yield from _section_defaults(value, below if isinstance(below, Mapping) else {}, key)
        elif name not in given:
            shown = [str(item) for item in value] if isinstance(value, tuple) else value
            yield ImportedKey("default", "", key, shown)


def _warnings(deploy: PythonConfig, model: PythonConfig | None) -> Iterator[str]:
    for config in (deploy, model):
        if config is not None and config.has_bases:
            yield f"{config.path}: its _base_ was not followed; give --follow-base to read it too"
    if model is not None and model.problems:
        missing = [name for name, value in leaves(model.values) if isinstance(value, Unreadable)]
        yield (
            f"{model.path}: {len(model.problems)} values were not read"
            + (f", among them {', '.join(missing[:3])}" if missing else "")
            + f" ({model.problems[0]})"
        )
