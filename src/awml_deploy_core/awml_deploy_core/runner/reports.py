"""Fills the parts of a report that every command has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import Manifest
from awml_deploy_core.artifacts.manifest import MANIFEST_NAME
from awml_deploy_core.packages import installed_versions
from awml_deploy_core.reporting.machine import machine_record
from awml_deploy_core.reporting.result import Report


def bundle_provenance(folder: Path) -> Mapping[str, Any] | None:
    """Where a bundle comes from and what its files are, if it has a manifest.

    Raises:
        ArtifactError: The manifest is invalid.
    """
    if not (folder / MANIFEST_NAME).is_file():
        return None
    manifest = Manifest.read(folder)
    return {
        "family": manifest.family,
        **manifest.provenance.model_dump(mode="json"),
        "files": {record.path: record.sha256 for record in manifest.files},
    }


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
