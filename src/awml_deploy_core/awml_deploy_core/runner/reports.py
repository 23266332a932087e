"""Fills the parts of a report that every command has."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from awml_deploy_core.packages import installed_versions
from awml_deploy_core.reporting.machine import machine_record
from awml_deploy_core.reporting.result import Report


def make_report(command: str, name: str, *, seconds: float = 0.0, **sections: Any) -> Report:
    """A report of a command that ends now on this machine."""
    return Report(
        tool_version=installed_versions(("awml_deploy_core",)).get("awml_deploy_core", "unknown"),
        command=command,
        name=name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=seconds,
        machine=machine_record(),
        **sections,
    )
