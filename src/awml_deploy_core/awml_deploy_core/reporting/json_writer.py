"""Results for machines."""

from __future__ import annotations

from pathlib import Path

from awml_deploy_core.files import io_errors, write_text
from awml_deploy_core.reporting.result import Report


def to_json(report: Report) -> str:
    """The report as indented JSON, without sections that do not apply."""
    return report.model_dump_json(indent=2, exclude_none=True) + "\n"


def write_json(report: Report, path: Path) -> None:
    """Write the report; the file appears whole or not at all.

    Raises:
        ArtifactError: The file cannot be written.
    """
    with io_errors(path, "cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, to_json(report))
