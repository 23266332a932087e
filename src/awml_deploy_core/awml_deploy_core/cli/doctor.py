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
    """What was found, each with the command that would add it, and what can be done."""
    from rich.markup import escape

    group = ""
    width = max(len(finding.name) for finding in diagnosis.findings)
    for finding in diagnosis.findings:
        if finding.group != group:
            group = finding.group
            console.print(f"[bold]{group}[/]")
        mark = "[green]yes[/]" if finding.found else "[yellow]no [/]"
        console.print(f"  {mark}  {escape(f'{finding.name:<{width}}  {finding.detail}')}", soft_wrap=True)
        if finding.hint and not finding.found:
            console.print(f"       to add it: {escape(finding.hint)}", soft_wrap=True)
    console.print("[bold]this machine[/]")
    for ability in diagnosis.abilities:
        if ability.possible:
            console.print(f"  [green]can[/] {ability.job}")
        else:
            missing = escape(", ".join(ability.missing))
            console.print(f"  [yellow]cannot[/] {ability.job}: missing {missing}", soft_wrap=True)
