"""Show what this machine can do, and the command that would add what is missing.

Exits with 0 if a bundle can be run here, with 2 if not.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from awml_deploy_core.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from awml_deploy_core.runner.doctor import Diagnosis


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has none of its own."""


def execute(args: argparse.Namespace) -> ExitCode:
    """Diagnose this machine."""
    from awml_deploy_core.cli.output import console, write_result
    from awml_deploy_core.runner.doctor import diagnose
    from awml_deploy_core.runner.reports import make_report

    diagnosis = diagnose()
    code = ExitCode.PASSED if diagnosis else ExitCode.BAD_INPUT
    print_diagnosis(diagnosis, console(args))
    write_result(make_report(args.command, "machine", facts=diagnosis.to_facts(), exit_code=code), args)
    return code


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Tables of what was found and what can be done."""
    from rich.table import Table

    table = Table("", "name", "", "detail", "to add it", title="this machine", title_justify="left")
    group = ""
    for finding in diagnosis.findings:
        mark = "[green]yes[/]" if finding.found else "[yellow]no[/]"
        shown = finding.group if finding.group != group else ""
        table.add_row(shown, finding.name, mark, finding.detail, "" if finding.found else finding.hint)
        group = finding.group
    console.print(table)
    for ability in diagnosis.abilities:
        if ability.possible:
            console.print(f"[green]can[/] {ability.job}")
        else:
            console.print(f"[yellow]cannot[/] {ability.job}: missing {', '.join(ability.missing)}")
