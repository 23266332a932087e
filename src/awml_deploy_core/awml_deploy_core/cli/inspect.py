"""Show what a model bundle is: components, tensors, files, provenance."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.cli.options import add_target
from awml_deploy_core.cli.session import load
from awml_deploy_core.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_target(parser)


def execute(args: argparse.Namespace) -> ExitCode:
    """Inspect a bundle folder, or the bundle of a deploy.yaml.

    Raises:
        ArtifactError: The folder is no bundle, or its files do not match its manifest.
    """
    from awml_deploy_core.cli.output import console, write_result
    from awml_deploy_core.runner.inspection import inspect_bundle
    from awml_deploy_core.runner.reports import make_report
    from awml_deploy_core.runner.targets import is_folder

    folder: Path = args.target
    if not is_folder(folder):
        folder = load(args).deploy.bundle
    facts = inspect_bundle(folder)
    print_facts(facts, console(args))
    write_result(make_report(args.command, folder.name, bundle=str(folder), facts=facts), args)
    return ExitCode.PASSED


def print_facts(facts: dict[str, Any], console: Console) -> None:
    """Tables of a bundle's facts."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    console.print(f"bundle {facts['folder']}, family {facts['family']}", markup=False, soft_wrap=True)
    if facts["foreign"]:
        console.print("[yellow]foreign bundle: it has no manifest, so nothing vouches for its files[/]")
    tensors = Table("component", "", "tensor", "dtype", "shape", box=SIMPLE_HEAD, pad_edge=False)
    for component in facts["components"]:
        name = component["name"]
        for side in ("inputs", "outputs"):
            for tensor in component[side]:
                shape = " x ".join(map(str, tensor["shape"]))
                tensors.add_row(*map(escape, (name, side[:-1], tensor["name"], tensor["dtype"], shape)))
                name = ""
    console.print(tensors)
    if facts["engines"]:
        engines = Table(box=SIMPLE_HEAD, pad_edge=False)
        for title in ("engine", "for", "state"):
            # A name that is cut off names no file.
            engines.add_column(title, overflow="fold")
        for engine in facts["engines"]:
            engines.add_row(*(escape(engine[column]) for column in ("path", "target", "state")))
        console.print(engines)
    files = Table("file", "bytes", "SHA-256", "produced by", box=SIMPLE_HEAD, pad_edge=False)
    for file in facts["files"]:
        size = str(file["size"])
        files.add_row(*map(escape, (file["path"], size, file["sha256"][:12], file["produced_by"])))
    console.print(files)
    for title in ("model", "provenance"):
        for key, value in _flat(facts[title] or {}, title):
            console.print(f"{key}: {value}", markup=False, soft_wrap=True)


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """One line a value; a mapping of single values is one line, a list of mappings one an item."""
    if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}")
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{key}.{index}")
    else:
        yield key, _text(value)


def _text(value: Any) -> str:
    """A value as a configuration file would have it."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items()) or "none"
    return str(value)
