"""Read a deploy configuration of AWML and write ours, with what became of every key."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from awml_deploy_core.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from awml_deploy_core.awml_import.importer import ImportedConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("source", type=Path, metavar="DEPLOY_CONFIG", help="AWML's deploy_config.py")
    parser.add_argument("--model-config", type=Path, metavar="FILE", help="the model's own configuration")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the deploy.yaml to write")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="where relative paths start (default: here)"
    )
    parser.add_argument("--family", metavar="NAME", help="model family, where the files do not tell")
    parser.add_argument("--follow-base", action="store_true", help="read the files that _base_ names too")


def execute(args: argparse.Namespace) -> ExitCode:
    """Import a configuration; nothing in it is executed.

    Raises:
        ConfigError: The file cannot be read without executing it, or is not one of AWML's.
        ArtifactError: The deploy.yaml cannot be written.
    """
    from awml_deploy_core.awml_import import import_awml_config
    from awml_deploy_core.awml_import.writing import write_deploy_yaml
    from awml_deploy_core.cli.output import check_destination, console, write_result
    from awml_deploy_core.runner.reports import make_report

    check_destination(args)
    imported = import_awml_config(
        args.source,
        args.model_config,
        root=args.root,
        family=args.family,
        follow_bases=args.follow_base,
    )
    if args.output is not None:
        write_deploy_yaml(imported, args.output, args.source)
    out = console(args)
    print_mapping(imported, out)
    if args.output is not None:
        out.print(f"wrote {args.output}", markup=False, soft_wrap=True)
    facts = {
        "family": imported.family,
        "output": None if args.output is None else str(args.output),
        "configuration": imported.content,
        "keys": [
            {"state": k.state, "key": k.key, "target": k.target, "value": repr(k.value), "note": k.note}
            for k in imported.keys
        ],
        "warnings": list(imported.warnings),
    }
    write_result(make_report(args.command, args.source.name, facts=facts), args)
    return ExitCode.PASSED


def print_mapping(imported: ImportedConfig, console: Console) -> None:
    """One table: mapped keys, defaults of this suite, keys without counterpart."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("", "AWML", "here", "value", "note"):
        table.add_column(title, overflow="fold")
    for state in ("mapped", "default", "unused"):
        for key in imported.keys:
            if key.state == state:
                value = repr(key.value)
                shown = value if len(value) <= 48 else f"{value[:45]}..."
                table.add_row(*map(escape, (state, key.key, key.target, shown, key.note)))
    console.print(table)
    for warning in imported.warnings:
        console.print(f"warning: {warning}", markup=False, soft_wrap=True)
